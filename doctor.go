package plinth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/certs"
	"github.com/bluell/plinth/internal/machine"
	"github.com/bluell/plinth/spec"
)

// Examination says what Examine is to look at.
type Examination struct {
	Listen string // where the app would be served, as in Listening
	Net    bool   // also ask others: name servers, the server that takes mails, providers with whom people sign in, the issuer of certificates
}

// Examine says how the machine, an app and its data are. It changes nothing, if the engine that it is given changes nothing
// (sqlite.Options.Look), and works beside a running server. Without Net only this machine and the database are asked.
func Examine(ctx context.Context, dir string, e Examination, opts ...Option) Points {
	o := choose(opts)
	o.log = slog.New(slog.DiscardHandler)
	d := &examiner{Examination: e, ctx: ctx, dir: dir, o: o, at: o.place(dir)}
	d.processors()
	d.memory()
	d.descriptors()
	d.clock()
	d.disks()
	if d.load() {
		d.addresses()
		d.certificate()
		d.database()
		if e.Net {
			d.others()
		}
	}
	return d.Points
}

// examiner is who examines.
type examiner struct {
	Points
	Examination
	ctx context.Context
	dir string
	o   options
	at  place
	app *spec.App

	served bool // by a process that runs here
}

func (d *examiner) processors() {
	b, n := machine.Bounds(), runtime.GOMAXPROCS(0)
	text := fmt.Sprintf("%d of %d are used", n, runtime.NumCPU())
	if b.Processors > 0 {
		text += fmt.Sprintf("; the container may use %.4g", b.Processors)
	}
	few := b.Processors == 0 || float64(n) <= math.Max(2, math.Ceil(b.Processors)) // Go takes two at least
	d.Either("processors", few, text, Consider, text+": it is stopped whenever it has used that up. Leave GOMAXPROCS unset: Go sees what the container may use")
}

func (d *examiner) memory() {
	switch b := machine.Bounds(); {
	case b.Machine == 0:
		d.Say("memory", Consider, "it is not known here how much there is")
	case b.Memory > 0 && b.Memory < b.Machine && b.Memory < 128<<20:
		d.Say("memory", Consider, "the container may have %s: give it 128 MB at least", bytesText(b.Memory))
	case b.Memory > 0 && b.Memory < b.Machine && os.Getenv("GOMEMLIMIT") == "":
		d.Say("memory", Consider, "the container may have %s, which Go does not see: set GOMEMLIMIT=%dMiB, or it may be killed before it has cleaned up", bytesText(b.Memory), b.Memory/10*9>>20)
	case b.Memory > 0 && b.Memory < b.Machine:
		d.Say("memory", Good, "the container may have %s, and Go knows", bytesText(b.Memory))
	case b.Free > 0 && b.Free < 64<<20:
		d.Say("memory", Consider, "%s of %s are free: programs will be killed. Give the machine more, or end something", bytesText(b.Free), bytesText(b.Machine))
	default:
		d.Say("memory", Good, "%s of %s are free", bytesText(b.Free), bytesText(b.Machine))
	}
}

func (d *examiner) descriptors() {
	n := machine.Descriptors()
	if n == 0 {
		return
	}
	text := fmt.Sprintf("%d files and connections may be open at once", n)
	switch {
	case n < 256:
		d.Say("descriptors", Wrong, "%s: that is not enough to serve. Raise ulimit -n, or LimitNOFILE= of the service", text)
	case n < 4096:
		d.Say("descriptors", Consider, "%s, and each client that listens is one: raise ulimit -n, or LimitNOFILE= of the service", text)
	default:
		d.Say("descriptors", Good, "%s", text)
	}
}

func (d *examiner) clock() {
	if set, ok := machine.ClockSet(); ok {
		d.Either("clock", set, "it is kept right: "+time.Now().UTC().Format(time.DateTime)+" UTC", Consider,
			"nothing keeps it right, and it says "+time.Now().UTC().Format(time.DateTime)+" UTC: start chrony, systemd-timesyncd or the like")
	}
	if _, err := time.LoadLocation("America/New_York"); err != nil {
		d.Say("zones", Wrong, "time zones are not known (%v): install tzdata, or unset ZONEINFO", err)
	} else {
		d.Say("zones", Good, "time zones are known")
	}
}

// existing is a folder, or the one above it that is there.
func existing(name string) string {
	for {
		if _, err := os.Stat(name); err == nil || filepath.Dir(name) == name {
			return name
		}
		name = filepath.Dir(name)
	}
}

// disks looks at the folders that are written to.
func (d *examiner) disks() {
	folders := []string{absolute(filepath.Join(d.dir, "data"))}
	if d.at.file != "" {
		folders = append(folders, filepath.Dir(d.at.file))
	}
	folders = append(folders, d.at.uploads)
	var seen []machine.Disk
	told := map[string]bool{}
	for _, folder := range folders {
		there := existing(folder)
		if told[there] {
			continue
		}
		told[there] = true
		d.writable(folder, there)
		disk, ok := machine.DiskOf(there)
		if !ok {
			continue
		}
		known := false
		for _, one := range seen {
			known = known || one.Kind == disk.Kind && one.Total == disk.Total && one.Most == disk.Most
		}
		if !known {
			seen = append(seen, disk)
			d.disk(there, disk)
		}
	}
	if d.at.file == "" {
		return
	}
	if there(d.at.next()) {
		d.Say("restore", Consider, "a restore was cut off: it is finished, or undone, when the database is opened next")
	}
	if info, err := os.Stat(d.at.file); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		d.Say("database", Wrong, "%s can be read by other users of this machine: chmod 600 it", d.at.file)
	}
}

func (d *examiner) writable(folder, there string) {
	err := machine.Writable(there)
	switch {
	case errors.Is(err, fs.ErrPermission):
		d.Say("folder", Wrong, "%s cannot be written by this user: run this as the one who serves, or chown it", there)
	case err != nil:
		d.Say("folder", Wrong, "%s cannot be written: %v", there, err)
	case folder == there:
		d.Say("folder", Good, "%s can be written", folder)
	default:
		d.Say("folder", Good, "%s will be made", folder)
	}
}

func (d *examiner) disk(at string, disk machine.Disk) {
	var size uint64
	if info, err := os.Stat(d.at.file); err == nil {
		size = uint64(info.Size())
	}
	text := fmt.Sprintf("%s of %s are free at %s (%s)", bytesText(disk.Free), bytesText(disk.Total), at, disk.Kind)
	switch {
	case disk.ReadOnly:
		d.Say("disk", Wrong, "%s is mounted to be read alone: mount it to be written", at)
	case disk.Free < 64<<20:
		d.Say("disk", Wrong, "%s: writes are about to fail. Make room", text)
	case disk.Free < size:
		d.Say("disk", Consider, "%s, less than the database has: there is no room for a backup beside it", text)
	case disk.Free < 1<<30 && disk.Free < disk.Total/10:
		d.Say("disk", Consider, "%s: make room", text)
	default:
		d.Say("disk", Good, "%s", text)
	}
	switch {
	case disk.Most > 0 && disk.Files < 1000:
		d.Say("inodes", Wrong, "%d more files can be made at %s: uploads are about to fail. Remove small files, or make the file system anew with more inodes", disk.Files, at)
	case disk.Most > 0 && disk.Files < 20_000:
		d.Say("inodes", Consider, "%d more files can be made at %s", disk.Files, at)
	}
	switch {
	case disk.Network && d.at.file != "":
		d.Say("disk", Wrong, "%s is another machine's (%s): SQLite's log and locks do not work there, and the database can be damaged. Put it on a disk of this machine, or use a database server", at, disk.Kind)
	case disk.Passing:
		d.Say("disk", Consider, "%s is %s: what is there is gone when the container, or the machine, is made anew. Mount a volume", at, disk.Kind)
	}
}

func (d *examiner) load() bool {
	app, err := load(d.dir, &d.o)
	if err == nil {
		err = app.CheckKinds(d.o.kindNames())
	}
	var wrong *spec.Problems
	switch {
	case errors.As(err, &wrong):
		for _, p := range wrong.List {
			d.Say("app", Wrong, "%s", p)
		}
		return false
	case err != nil:
		d.Say("app", Wrong, "%s", err)
		return false
	}
	d.app = app
	d.Say("app", Good, "%s is good", spec.FileName)
	return true
}

// certificate looks at that of server.tls. Those by ACME are in the database.
func (d *examiner) certificate() {
	if d.app.Server.TLS.Cert == "" {
		return
	}
	until, err := CheckCertificate(d.app, d.o.clock())
	if err != nil {
		d.Say("certificate", Wrong, "%s", err)
		return
	}
	d.ends("certificate", d.app.Server.TLS.Cert, until)
	key := filepath.Join(d.dir, d.app.Server.TLS.Key)
	if filepath.IsAbs(d.app.Server.TLS.Key) {
		key = d.app.Server.TLS.Key
	}
	if info, err := os.Stat(key); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o007 != 0 {
		d.Say("certificate", Wrong, "its key, %s, can be read by every user of this machine: chmod 600 it", d.app.Server.TLS.Key)
	}
}

func (d *examiner) ends(about, name string, until time.Time) {
	left := until.Sub(d.o.clock())
	switch text := name + " is good until " + until.UTC().Format(time.DateTime) + " UTC"; {
	case left <= 0:
		d.Say(about, Wrong, "that of %s has ended, on %s: it was not renewed. The log of the server says why", name, until.UTC().Format(time.DateTime))
	case left < 14*24*time.Hour:
		d.Say(about, Consider, "%s: that is in %d days", text, int(left/(24*time.Hour)))
	default:
		d.Say(about, Good, "%s", text)
	}
}

// CheckCertificate says what is wrong with the certificate of server.tls: that which keeps it from being served, and that for which
// browsers refuse it; and what is wrong with the files of server.acme. It is *spec.Problems at the setting. until is when it ends.
func CheckCertificate(app *spec.App, now time.Time) (until time.Time, err error) {
	if app.Server.TLS.Cert == "" {
		return until, certs.LookAtRoots(app.Dir, app.Server)
	}
	return certs.LookAtFiles(app.Dir, app.Server, now)
}

// database looks at what is stored.
func (d *examiner) database() {
	eng, ok := d.open()
	if !ok {
		return
	}
	defer eng.Close()
	if v, ok := eng.(driver.Versioned); ok {
		if version, err := v.Version(d.ctx); err != nil {
			d.Say("database", Wrong, "it does not say what it is: %s", err)
		} else {
			d.Say("database", Good, "%s", version)
		}
	}
	if d.at.file != "" {
		d.file(eng)
	} else {
		d.server(eng)
	}
	key, lacks := secret(d.dir, &d.o)
	if !d.schema(eng, key) {
		return
	}
	if lacks != nil {
		d.Say("work", Consider, "jobs and certificates were not looked at, for that takes the key: %s", lacks)
		return
	}
	db, err := data.Open(d.ctx, d.app, eng, data.Options{Key: key, Clock: d.o.clock, Log: d.o.log})
	if err != nil {
		d.Say("database", Wrong, "%s", err)
		return
	}
	d.work(db)
	d.obtained(db)
}

// open opens the database; false: there is none, or it is said what is wrong.
func (d *examiner) open() (driver.Engine, bool) {
	if d.at.file == "" {
		if d.o.open == nil {
			return nil, false
		}
		eng, err := d.o.open(d.ctx)
		switch {
		case fault.Is(err, fault.NotFound):
			d.Say("database", Consider, "%s: it is set up when the app is served first", err)
		case err != nil:
			d.Say("database", Wrong, "%s", err)
		}
		return eng, err == nil
	}
	if !there(d.at.file) {
		d.Say("database", Consider, "there is none yet: it is made when the app is served first")
		return nil, false
	}
	eng, err := d.o.openFile(d.at.file)
	if err != nil {
		d.Say("database", Wrong, "%s cannot be opened: %s", d.at.file, err)
		return nil, false
	}
	return eng, true
}

// file looks at the database in a file.
func (d *examiner) file(eng driver.Engine) {
	var size, log uint64
	if info, err := os.Stat(d.at.file); err == nil {
		size = uint64(info.Size())
	}
	if info, err := os.Stat(d.at.file + "-wal"); err == nil {
		log = uint64(info.Size())
	}
	switch {
	case log > 256<<20:
		d.Say("log", Consider, "%s-wal has %s: something reads for long and keeps it from being worked into the database. Is another program in it?", d.at.file, bytesText(log))
	case log > 0 && !d.served:
		d.Say("log", Consider, "%s-wal has %s, and no server runs here: one was killed, or serves from another folder. What is in it is worked into the database when that is opened next: never remove it", d.at.file, bytesText(log))
	default:
		d.Say("log", Good, "%s beside %s", bytesText(log), bytesText(size))
	}
	if err := eng.Verify(d.ctx); err != nil {
		d.Say("damage", Wrong, "the database is damaged (%s): stop the server, keep a copy of the folder, look at the disk, and restore the last backup", err)
		return
	}
	d.Say("damage", Good, "none was found (PRAGMA quick_check)")
}

var errLooked = errors.New("only looked at")

// server looks at the database of a server.
func (d *examiner) server(eng driver.Engine) {
	var now, before, after time.Time
	err := eng.Write(d.ctx, func(tx driver.Tx) error {
		before = time.Now()
		ms, err := tx.Now()
		after, now = time.Now(), time.UnixMilli(ms)
		return errors.Join(errLooked, err)
	})
	apart := now.Sub(before.Add(after.Sub(before) / 2)).Round(time.Millisecond)
	switch {
	case now.IsZero():
		d.Say("clocks", Wrong, "a transaction could not be begun: %s", err)
	case apart.Abs() > time.Minute:
		d.Say("clocks", Wrong, "that of the database is %s apart from this machine's: what is due by one is not by the other. Keep both right by NTP", apart)
	case apart.Abs() > 2*time.Second:
		d.Say("clocks", Consider, "that of the database is %s apart from this machine's: keep both right by NTP", apart)
	default:
		d.Say("clocks", Good, "that of the database is %s apart from this machine's", apart)
	}
	w, ok := eng.(driver.Warner)
	if !ok {
		return
	}
	found, err := w.Warnings(d.ctx)
	if err != nil {
		d.Say("durability", Wrong, "the settings of the server could not be looked at: %s", err)
	}
	for _, text := range found {
		d.Say("durability", Wrong, "%s", text)
	}
	if err == nil && len(found) == 0 {
		d.Say("durability", Good, "the database keeps what it has acknowledged, by its settings")
	}
}

// schema says whether the database is as the app file needs it.
func (d *examiner) schema(eng driver.Engine, key []byte) bool {
	m, err := data.Plan(d.ctx, d.app, eng, key)
	switch {
	case err != nil:
		d.Say("schema", Wrong, "%s", err)
	case m.Fresh:
		d.Say("schema", Consider, "there are no tables yet: they are made when the app is served first")
	case len(m.Steps) > 0:
		d.Say("schema", Wrong, "the database differs from the app file by %s: look at them with plinth plan, then plinth apply", Counted(len(m.Steps), "step"))
	default:
		d.Say("schema", Good, "the database is as the app file needs it")
		return true
	}
	return false
}

const lateJob = 5 * time.Minute

// work looks at jobs, and at who follows the log of changes.
func (d *examiner) work(db *data.DB) {
	states, oldest, err := db.Queued(d.ctx)
	late := fmt.Sprintf("the one that waits longest has been due for %s", oldest.Round(time.Second))
	switch dead := states[data.Dead]; {
	case err != nil:
		d.Say("jobs", Wrong, "they could not be counted: %s", err)
	case oldest > lateJob && d.served:
		d.Say("jobs", Wrong, "%s: is a process with --roles jobs running, and does it know that kind? The log says what fails", late)
	case oldest > lateJob:
		d.Say("jobs", Consider, "%s, and no server runs here", late)
	case dead > 0:
		d.Say("jobs", Consider, "%d failed for the last time: plinth jobs list --state dead shows them, plinth jobs retry tries again", dead)
	default:
		d.Say("jobs", Good, "%d wait, %d run, none was given up", states[data.Waiting], states[data.Running])
	}
	all, err := db.SeeConsumers(d.ctx)
	if err != nil {
		d.Say("changes", Wrong, "who follows the log of changes could not be read: %s", err)
	}
	for _, c := range all {
		switch {
		case c.At == data.Position{}:
		case c.Behind < 0:
			d.Say("changes", Wrong, "%s has lost changes: the log was shortened before it had done them. changes.keep in the app file says how long it is kept", c.Name)
		case c.Behind > 0 && c.Holder == "":
			d.Say("changes", Consider, "%s is %s behind, and does not run", c.Name, Counted(int(c.Behind), "change"))
		default:
			d.Say("changes", Good, "%s is %s behind", c.Name, Counted(int(c.Behind), "change"))
		}
	}
}

// obtained looks at the certificates that were obtained by ACME.
func (d *examiner) obtained(db *data.DB) {
	if len(d.app.Server.Domains) == 0 {
		return
	}
	m, err := certs.Manage(certs.Options{Dir: d.dir, Server: d.app.Server, DB: func() *data.DB { return db }, Log: d.o.log})
	if err != nil {
		d.Say("certificate", Wrong, "%s", err)
		return
	}
	defer m.Close()
	m.Load(d.ctx)
	found := map[string]bool{}
	for _, e := range m.Expiries() {
		found[e.Name] = true
		d.ends("certificate", e.Name, e.At)
	}
	for _, name := range d.app.Server.Domains {
		if !found[strings.ToLower(name)] {
			d.Say("certificate", Consider, "%s has none yet: it is obtained when the app is served", name)
		}
	}
}

// bytesText is a number of bytes for people.
func bytesText(n uint64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GB", n>>30)
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%d MB", n>>20)
	}
	return fmt.Sprintf("%d KB", (n+1023)>>10)
}
