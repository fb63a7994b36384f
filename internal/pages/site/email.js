import { confirmLink } from "./auth.js";

confirmLink("email/confirm", "email.done");
