// Package pages are the ready pages for people who sign in: they are at /auth/, where the app has no file of its own. They
// are HTML that is written here, in the reader's language, and small scripts of our own, which speak with /api/auth/ as
// any frontend does: nothing is asked of the database to show a page, and a page can do nothing that an app's own could not.
//
// What a page was asked with decides little: return, where the browser goes in the end, is a path of this app or nothing.
// A link of a mail does nothing by itself, for programs that look for harm open links: its page acts when somebody clicks.
// Its token is taken out of the address bar at once, and no page tells another site where it was.
package pages
