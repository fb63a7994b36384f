package plinth_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/bluell/plinth"

// room is a package and what it may import of ours. The reason is printed when the test fails.
type room struct {
	name   string
	rank   int
	may    []string // of ours
	reason string
}

// house is the import policy: engines never see data; doors never see driver; only plinth sees two doors.
var house = []room{
	{"fault", 0, nil, "everybody speaks it, so it may know nobody"},
	{"doc", 1, []string{"fault"}, "a JSON document is not about Plinth"},
	{"expr", 1, []string{"fault"}, "the language asks for names through expr.Env and never for a model"},
	{"internal/password", 1, []string{"fault"}, "how passwords are kept is not about Plinth: no database, no web"},
	{"internal/machine", 0, nil, "what the machine has is not about Plinth"},
	{"internal/outgoing", 1, []string{"fault"}, "requests that we make of others are not about Plinth"},
	{"spec", 2, []string{"expr", "doc", "fault"}, "the app file is pure: nothing of databases or the web"},
	{"internal/oidc", 3, []string{"internal/outgoing", "spec", "fault"}, "the client's side of a protocol: no database, no routes"},
	{"internal/oidc/oidctest", 3, nil, "it starts an issuer for tests and knows nothing of ours"},
	{"data/driver", 3, []string{"spec", "expr", "doc", "fault"}, "what an engine must do is said in the model's terms"},
	{"data", 4, []string{"data/driver", "spec", "expr", "doc", "fault"}, "all meaning lives here, above every engine and below every door"},
	{"data/memory", 4, []string{"data/driver", "spec", "expr", "doc", "fault"}, "engines never see data"},
	{"data/sqldb", 4, []string{"data/driver", "spec", "expr", "doc", "fault"}, "engines never see data"},
	{"data/internal/pool", 4, []string{"data/driver", "spec", "expr", "doc", "fault"}, "it knows connections, and no server that they lead to"},
	{"data/sqlite", 4, []string{"data/sqldb", "data/driver", "spec", "expr", "doc", "fault"}, "engines never see data"},
	{"data/postgres", 4, []string{"data/internal/pool", "data/sqldb", "data/driver", "spec", "expr", "doc", "fault"}, "engines never see data"},
	{"data/postgres/pgtest", 4, nil, "it starts a server for tests and knows nothing of ours"},
	{"data/mysql", 4, []string{"data/internal/pool", "data/sqldb", "data/driver", "spec", "expr", "doc", "fault"}, "engines never see data"},
	{"data/mysql/mysqltest", 4, nil, "it starts a server for tests and knows nothing of ours"},
	{"data/mongo", 4, []string{"data/driver", "spec", "expr", "doc", "fault"}, "engines never see data, and MongoDB has no SQL"},
	{"data/mongo/mongotest", 4, nil, "it starts a server for tests and knows nothing of ours"},
	{"data/drivertest", 5, []string{"data", "data/driver", "data/memory", "spec", "expr", "doc", "fault"}, "the suite runs data and driver as a pair"},
	{"internal/web", 5, []string{"data", "spec", "expr", "doc", "fault"}, "what doors share; it knows no door"},
	{"internal/auth", 5, []string{"data", "spec", "expr", "doc", "fault", "internal/web"}, "it turns a request into a caller, and lets people in; what hashes passwords and writes mails is handed in"},
	{"internal/certs", 5, []string{"data", "spec", "doc", "fault", "internal/web"}, "it obtains certificates and keeps them through data; which listener has them is plinth's to wire"},
	{"internal/certs/acmetest", 5, nil, "it starts an issuer for tests and knows nothing of ours"},
	{"internal/files", 5, []string{"data", "spec", "expr", "doc", "fault", "internal/web"}, "it stores bytes; doors never see driver"},
	{"internal/seed", 5, []string{"data", "spec", "expr", "doc", "fault"}, "it loads records through data like everybody"},
	{"internal/jobs", 5, []string{"data", "spec", "expr", "doc", "fault"}, "it works off what data has enqueued; how a job is claimed and settled is data's to know"},
	{"internal/mail", 5, []string{"data", "spec", "expr", "doc", "fault", "internal/web"}, "it writes and sends mails, and shows those it keeps; that a mail is a job is plinth's to wire"},
	{"internal/rest", 6, []string{"internal/web", "internal/auth", "internal/files", "data", "spec", "expr", "doc", "fault"}, "a door: it sees no driver and no other door"},
	{"internal/live", 6, []string{"internal/web", "internal/auth", "internal/files", "data", "spec", "expr", "doc", "fault"}, "a door: it sees no driver and no other door"},
	{"internal/pages", 6, []string{"internal/web", "spec", "fault"}, "pages speak with the API as any frontend does: they see neither data nor auth"},
	{"internal/serve", 6, []string{"internal/machine", "internal/web", "internal/auth", "internal/files", "data", "spec", "expr", "doc", "fault"}, "a door: it sees no driver and no other door"},
	{"internal/telemetry", 6, []string{"internal/web", "data", "spec", "expr", "doc", "fault"}, "it implements what rooms declare of observers, and no room imports it: plinth hands it in"},
	{"", 7, []string{"*"}, "plinth is the one place that wires"},
	{"cmd/plinth", 8, []string{"", "spec", "fault", "data", "data/driver", "data/sqlite", "data/postgres", "data/mysql", "data/mongo", "data/memory", "expr", "doc"}, "the command line knows plinth and the engines it links"},
	{"test", 9, []string{"*"}, "whole-system tests"},
}

// TestImports holds every package to the house.
func TestImports(t *testing.T) {
	t.Parallel()
	for dir, files := range packages(t) {
		at := slices.IndexFunc(house, func(r room) bool { return r.name == dir || r.name == "test" && strings.HasPrefix(dir, "test/") })
		if at < 0 {
			if strings.HasPrefix(dir, "examples/") {
				continue
			}
			t.Errorf("package %q has no place in the house: give it a line in the policy, with a reason", dir)
			continue
		}
		r := house[at]
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue // a test may see whatever it tests with
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Error(err)
				continue
			}
			for _, i := range f.Imports {
				name := strings.Trim(i.Path.Value, `"`)
				if name != module && !strings.HasPrefix(name, module+"/") {
					continue
				}
				name = strings.TrimPrefix(strings.TrimPrefix(name, module), "/")
				if !slices.Contains(r.may, name) && !slices.Contains(r.may, "*") {
					t.Errorf("%s imports %q: %s", file, name, r.reason)
				}
			}
		}
	}
}

// TestEngineLibraries keeps databases, web servers and YAML behind the doors that own them.
func TestEngineLibraries(t *testing.T) {
	t.Parallel()
	owners := map[string]struct {
		dirs   []string
		reason string
	}{
		"zombiezen.com/go/sqlite":     {[]string{"data/sqlite"}, "nothing above data/driver knows SQLite"},
		"modernc.org/sqlite":          {[]string{"data/sqlite"}, "nothing above data/driver knows SQLite"},
		"modernc.org/libc":            {[]string{"data/sqlite"}, "C's memory is SQLite's alone"},
		"github.com/jackc":            {[]string{"data/postgres", "data/postgres/pgtest"}, "nothing above data/driver knows PostgreSQL"},
		"github.com/go-sql-driver":    {[]string{"data/mysql", "data/mysql/mysqltest"}, "nothing above data/driver knows MySQL"},
		"go.yaml.in/yaml":             {[]string{"spec"}, "one room reads YAML"},
		"cel.dev/cel-go":              {[]string{"expr"}, "one room reads CEL"},
		"github.com/spf13/cobra":      {[]string{"cmd/plinth"}, "the command line is not a library"},
		"net/http":                    {[]string{"", "internal/web", "internal/auth", "internal/rest", "internal/live", "internal/serve", "internal/files", "internal/mail", "internal/pages", "internal/outgoing", "internal/oidc", "internal/oidc/oidctest", "internal/telemetry", "cmd/plinth", "test", "test/conform", "internal/certs", "internal/certs/acmetest"}, "the web is at the doors, and where others are asked"},
		"github.com/wneessen/go-mail": {[]string{"internal/mail"}, "one room speaks SMTP"},
		"github.com/caddyserver":      {[]string{"internal/certs"}, "one room speaks ACME"},
		"github.com/quic-go":          {[]string{"internal/serve"}, "one room listens"},
		"github.com/mholt/acmez":      {[]string{"internal/certs"}, "one room speaks ACME"},
		"go.uber.org/zap":             {[]string{"internal/certs"}, "we log with slog; one room is told things by a library that does not"},
		"golang.org/x/oauth2":         {[]string{"internal/oidc"}, "one room signs in with others"},
		"github.com/coreos/go-oidc":   {[]string{"internal/oidc"}, "one room signs in with others"},
		"github.com/go-jose":          {[]string{"internal/oidc", "internal/oidc/oidctest"}, "one room reads tokens that others have signed"},
		"github.com/prometheus":       {[]string{"internal/telemetry"}, "rooms tell observers what they do; one room counts"},
		"go.opentelemetry.io":         {[]string{"internal/telemetry"}, "rooms tell observers what they do; one room traces"},
		"go.mongodb.org":              {[]string{"data/mongo", "data/mongo/mongotest"}, "nothing above data/driver knows MongoDB"},
	}
	for dir, files := range packages(t) {
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Error(err)
				continue
			}
			for _, i := range f.Imports {
				name := strings.Trim(i.Path.Value, `"`)
				for library, owner := range owners {
					if (name == library || strings.HasPrefix(name, library+"/")) && !slices.Contains(owner.dirs, dir) {
						t.Errorf("%s imports %s: %s", file, name, owner.reason)
					}
				}
			}
		}
	}
}

// TestPackageDocs holds every package to saying what it is for.
func TestPackageDocs(t *testing.T) {
	t.Parallel()
	for dir, files := range packages(t) {
		said := false
		only := true
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			only = false
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Error(err)
				continue
			}
			said = said || f.Doc != nil
		}
		if !said && !only {
			t.Errorf("package %q does not say what it is for", dir)
		}
	}
}

// packages are the Go files of the module by folder, "" being the root; folders with a go.mod of their
// own are other modules.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			base := d.Name()
			if name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "node_modules") {
				return fs.SkipDir
			}
			if name != "." {
				if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
					return fs.SkipDir
				}
			}
			return nil
		}
		if strings.HasSuffix(name, ".go") {
			dir := path.Dir(filepath.ToSlash(name))
			if dir == "." {
				dir = ""
			}
			all[dir] = append(all[dir], name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages were found: the test looks in the wrong place", len(all))
	}
	return all
}

// The tests that docs/security.md names are there.
func TestSecurityNamesTests(t *testing.T) {
	text, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || !strings.Contains(line, " Test") {
			continue
		}
		dir, source := "", ""
		for _, word := range strings.FieldsFunc(line[strings.LastIndex(line[:strings.Index(line, " Test")], "|"):], func(r rune) bool { return strings.ContainsRune("|, \n", r) }) {
			if at, is := strings.CutPrefix(word, "`"); is {
				dir, source = strings.TrimSuffix(at, "`"), ""
				files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
				if err != nil || len(files) == 0 {
					t.Errorf("%s: no tests: %v", dir, err)
				}
				for _, file := range files {
					b, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					source += string(b)
				}
				continue
			}
			named++
			if !strings.Contains(source, "\nfunc "+word+"(") {
				t.Errorf("docs/security.md names a test %s in %s, which is not there", word, dir)
			}
		}
	}
	if named < 50 {
		t.Errorf("%d tests are named", named)
	}
}
