import { confirmLink } from "./auth.js";

confirmLink("verify", "verify.done");
