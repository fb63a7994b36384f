package spec

import "testing"

func TestReadYAML(t *testing.T) {
	t.Parallel()
	n, err := ReadYAML([]byte("a: 0700\nb: 1.10\nc: [true, ~, 'x', yes]\nd: &x {e: 1}\nf: *x\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(n.Append(nil)), `{"a":"0700","b":1.10,"c":[true,null,"x","yes"],"d":{"e":1},"f":{"e":1}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, text := range []string{"", "a: 1\na: 2", "? [a]\n: 1", "a: [", "a: 1\n---\nb: 2"} {
		if _, err := ReadYAML([]byte(text)); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}

func FuzzReadYAML(f *testing.F) {
	f.Add([]byte("collection: a\nrecords: [{a: 1}]\n"))
	f.Add([]byte("a: &x [1]\nb: *x\n"))
	f.Add([]byte("a: 1\na: 2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := ReadYAML(b); (n == nil) == (err == nil) {
			t.Fatalf("%v %v", n, err)
		}
	})
}
