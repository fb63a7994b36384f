package mail

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// Mails are handed to another's server, and mean there what they mean here, to another's parser.
func TestPeer(t *testing.T) {
	t.Parallel()
	python := "/usr/bin/python3" // Debian's, for which its packages are
	if _, err := os.Stat(python); err != nil {
		python = "python3"
	}
	if err := exec.Command(python, "-c", "import aiosmtpd").Run(); err != nil {
		if os.Getenv("PLINTH_TEST_ALL") == "1" {
			t.Fatal("aiosmtpd is missing: apt-get install python3-aiosmtpd")
		}
		t.Skip("LEFT OUT, for want of a second SMTP server: aiosmtpd is missing: apt-get install python3-aiosmtpd")
	}
	peer := exec.CommandContext(t.Context(), python, "testdata/peer.py")
	peer.Stderr = os.Stderr
	in, err := peer.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := peer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := peer.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		_ = peer.Wait()
	}()
	said := bufio.NewReader(out)
	port, err := said.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	const yaml = "name: 'Büro & Söhne'\nserver: {url: https://app.example.com}\nmail: {from: '\"Büro, Söhne\" <hello@bücher.example>', smtp: 'smtp://127.0.0.1:"
	r := open(t, yaml+strings.TrimSpace(port)+"'}\n", map[string]string{
		"emails/verify.ja.txt": "Subject: {{.Name}} 様、" + strings.Repeat("長い件名", 20) + "\n\n.\n..dots\n" + strings.Repeat("x", 3000) + "\n=3D\n{{.Link}}\n",
	}, Options{})
	for _, c := range []struct {
		m       Message
		subject string
		to      []string
	}{
		{Message{Template: Verify, To: "anna@example.org", Token: "t", Valid: time.Hour}, "Confirm your address for Büro & Söhne", []string{"", "anna@example.org"}},
		{Message{Template: Verify, To: "anna@bücher.example", Token: "t", Valid: time.Hour, Name: "Ännchen, die \"Große\"; (x)", Lang: "de"}, "Bitte bestätigen Sie Ihre Adresse für Büro & Söhne",
			[]string{`Ännchen, die "Große"; (x)`, "anna@xn--bcher-kva.example"}},
		{Message{Template: Verify, To: "anna+x@example.org", Token: "t", Valid: time.Hour, Name: strings.Repeat("ü", 90), Lang: "ja"}, strings.Repeat("ü", 90) + " 様、" + strings.Repeat("長い件名", 20), []string{strings.Repeat("ü", 90), "anna+x@example.org"}},
		{Message{Template: Verify, To: "用户@例え.テスト", Token: "t", Valid: time.Hour}, "Confirm your address for Büro & Söhne", []string{"", "用户@xn--r8jz45g.xn--zckzah"}},
		{Message{Template: Code, To: "a@example.org", Code: "123456", Token: "=3D&x", Valid: time.Minute}, "Your code for Büro & Söhne", []string{"", "a@example.org"}},
	} {
		j := posted(t, r, c.m)
		if err := r.Deliver(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		line, err := said.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			From, Subject, ID, Date, Text, HTML        string
			Receivers, Types, Defects, Headers, Sender []string
			To                                         [][]string
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got.Headers)
		if strings.HasPrefix(c.to[0], "üüü") { // Python's parser keeps the blanks between the encoded words of a name (RFC 2047, 6.2), up to 3.12
			got.To[0][0] = strings.ReplaceAll(got.To[0][0], " ", "")
		}
		l, here := composed(t, r, c.m)
		if got.From != "hello@xn--bcher-kva.example" || len(got.Receivers) != 1 || got.Receivers[0] != c.to[1] || len(got.To) != 1 || !slices.Equal(got.To[0], c.to) ||
			!slices.Equal(got.Sender, []string{"Büro, Söhne", "hello@xn--bcher-kva.example"}) || got.Subject != c.subject || got.ID != "<"+l.id+">" || got.Date != "2026-03-01T12:00:00+00:00" ||
			!slices.Equal(got.Types, []string{"multipart/alternative", "text/plain", "text/html"}) || len(got.Defects) > 0 ||
			!slices.Equal(got.Headers, []string{"Auto-Submitted", "Content-Language", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"}) {
			t.Errorf("%+v", got)
		}
		got.Text, got.HTML = strings.ReplaceAll(got.Text, "\r\n", "\n"), strings.ReplaceAll(got.HTML, "\r\n", "\n")
		if got.Text != here.Text || got.HTML != here.HTML {
			t.Errorf("%q\nis not\n%q", got.Text+got.HTML, here.Text+here.HTML)
		}
	}
}
