// The agency's calendar: which days and slots it offers, and how they read in the visitor's zone.
// A slot is a day and a time of day on the agency's clock, which is UTC (see `calls` in plinth.yaml).

export const slots = ["08:00", "08:30", "09:00", "09:30", "10:00", "13:00", "13:30", "14:00", "14:30", "15:00"];
export const minutes = 30;

const locale = "en-GB";
const format = (options) => new Intl.DateTimeFormat(locale, options);
const time = format({ hour: "2-digit", minute: "2-digit" });
const weekday = format({ weekday: "short" });
const dayMonth = format({ day: "numeric", month: "short" });
const fullDay = format({ weekday: "long", day: "numeric", month: "long" });
const dayOnly = { year: "numeric", month: "2-digit", day: "2-digit" };
const agencyWeekday = format({ weekday: "short", timeZone: "UTC" });
const agencyDayMonth = format({ day: "numeric", month: "short", timeZone: "UTC" });
const agencyFullDay = format({ weekday: "long", day: "numeric", month: "long", timeZone: "UTC" });

/** The moment at which a slot begins. */
export const start = (day, slot) => new Date(`${day}T${slot}:00Z`);

/** Today on the agency's clock, as YYYY-MM-DD. */
export const today = () => new Date().toISOString().slice(0, 10);

/** The next working days after today, as YYYY-MM-DD. */
export function workingDays(count) {
  const days = [];
  const date = new Date(`${today()}T00:00:00Z`);
  while (days.length < count) {
    date.setUTCDate(date.getUTCDate() + 1);
    if (date.getUTCDay() % 6 !== 0) days.push(date.toISOString().slice(0, 10));
  }
  return days;
}

/** Heads of a day's column: {weekday: "Tue", date: "24 Nov", full: "Tuesday 24 November"}. */
export function dayNames(day) {
  const date = new Date(`${day}T12:00:00Z`);
  return { weekday: agencyWeekday.format(date), date: agencyDayMonth.format(date), full: agencyFullDay.format(date) };
}

/** A slot on the visitor's clock; `other` is the weekday where it is another day there. */
export function local(day, slot) {
  const begins = start(day, slot);
  const ends = new Date(begins.getTime() + minutes * 60_000);
  const sameDay = format(dayOnly).format(begins) === format({ ...dayOnly, timeZone: "UTC" }).format(begins);
  return {
    time: time.format(begins),
    until: time.format(ends),
    other: sameDay ? "" : weekday.format(begins),
    long: `${fullDay.format(begins)}, ${time.format(begins)} to ${time.format(ends)}`,
    short: `${weekday.format(begins)} ${dayMonth.format(begins)}, ${time.format(begins)}`,
  };
}

/** The visitor's zone, for people: "Europe/Berlin (GMT+1)". */
export function zone() {
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone || "your device's time zone";
  const offset = format({ timeZoneName: "shortOffset" }).formatToParts(new Date()).find((part) => part.type === "timeZoneName")?.value ?? "";
  return name === "UTC" || !offset ? name : `${name.replaceAll("_", " ")} (${offset})`;
}

/** A moment such as `created`, on the visitor's clock. */
export const moment = (text) => format({ day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" }).format(new Date(text));
