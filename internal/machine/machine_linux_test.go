package machine

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What containers may use is the least of what the groups above a process say.
func TestGroups(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, groups string
		files        map[string]string
		memory       uint64
		processors   float64
	}{
		{"v2, bounded above", "0::/a/b\n", map[string]string{"a/memory.max": "1000", "a/b/memory.max": "max", "a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}, 1000, 1.5},
		{"v2, bounded twice", "0::/a\n", map[string]string{"memory.max": "1000\n", "a/memory.max": "500\n", "cpu.max": "50000 100000\n", "a/cpu.max": "200000 100000\n"}, 500, 0.5},
		{"v2, as a container sees it", "0::/\n", map[string]string{"memory.max": "2000"}, 2000, 0},
		{"v1", "4:memory:/x\n", map[string]string{"memory/memory.limit_in_bytes": "700", "cpu/cpu.cfs_quota_us": "20000", "cpu/cpu.cfs_period_us": "10000"}, 700, 2},
		{"v1, not bounded", "", map[string]string{"memory/memory.limit_in_bytes": "9223372036854771712", "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "10000"}, 0, 0},
		{"nothing", "", nil, 0, 0},
	} {
		root := t.TempDir()
		for name, text := range c.files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var b Bound
		if b.group(root, c.groups); b.Memory != c.memory || b.Processors != c.processors {
			t.Errorf("%s: %d bytes, %g processors", c.name, b.Memory, b.Processors)
		}
	}
}

func TestMachine(t *testing.T) {
	t.Parallel()
	b := Bounds()
	if b.Machine < 1<<26 || b.Free == 0 || b.Free > b.Machine || Descriptors() == 0 {
		t.Errorf("%+v", b)
	}
	var fs syscall.Statfs_t
	dir := t.TempDir()
	if err := syscall.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	d, ok := DiskOf(dir)
	if !ok || d.Total != fs.Blocks*uint64(fs.Frsize) || d.Free > d.Total || d.Kind == "" || d.ReadOnly {
		t.Errorf("%+v", d)
	}
	if _, ok := DiskOf(filepath.Join(dir, "none")); ok {
		t.Error("what is not there has a disk")
	}
	if d, ok := DiskOf("/proc"); !ok || d.Most != 0 {
		t.Errorf("/proc: %+v", d)
	}
	if err := Writable(dir); err != nil {
		t.Error(err)
	}
	if err := Writable(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	for number, want := range map[int64]struct{ network, passing bool }{0x6969: {true, false}, 0x01021994: {false, true}, 0xEF53: {false, false}, 0xFF534D42 - 1<<32: {true, false}} {
		if _, network, passing := kindOf(number); network != want.network || passing != want.passing {
			t.Errorf("%#x: %t %t", number, network, passing)
		}
	}
}
