package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// kinds of file systems, by the numbers that statfs(2) gives them.
func kindOf(number int64) (name string, network, passing bool) {
	switch uint32(number) {
	case 0xEF53:
		return "ext4", false, false
	case 0x58465342:
		return "xfs", false, false
	case 0x9123683E:
		return "btrfs", false, false
	case 0x2FC12FC1:
		return "zfs", false, false
	case 0xF2F52010:
		return "f2fs", false, false
	case 0x01021994:
		return "tmpfs", false, true
	case 0x858458F6:
		return "ramfs", false, true
	case 0x794C7630:
		return "overlay", false, true
	case 0x6969:
		return "nfs", true, false
	case 0x517B, 0xFE534D42, 0xFF534D42:
		return "smb", true, false
	case 0x01021997:
		return "9p", true, false
	case 0x00C36400:
		return "ceph", true, false
	case 0x5346414F, 0x6B414653:
		return "afs", true, false
	case 0x0BD00BD0:
		return "lustre", true, false
	case 0x65735546:
		return "fuse", false, false // it may be anything
	case 0x786F4256:
		return "vboxsf", true, false
	}
	return fmt.Sprintf("%#x", uint32(number)), false, false
}

// DiskOf is the file system that a file or folder is on.
func DiskOf(name string) (d Disk, ok bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(name, &s); err != nil {
		return d, false
	}
	const readOnly = 1 // ST_RDONLY
	size := uint64(s.Frsize)
	if size == 0 {
		size = uint64(s.Bsize)
	}
	d = Disk{Free: s.Bavail * size, Total: s.Blocks * size, Files: s.Ffree, Most: s.Files, ReadOnly: int64(s.Flags)&readOnly != 0}
	d.Kind, d.Network, d.Passing = kindOf(int64(s.Type))
	return d, true
}

// Writable says why this process may not write in a folder or to a file; nil: it may. Nothing is written.
func Writable(name string) error {
	const write = 2
	return syscall.Access(name, write)
}

// Bounds are those of this process.
func Bounds() (b Bound) {
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		b.Machine = uint64(info.Totalram) * uint64(info.Unit)
	}
	b.Free = available("/proc/meminfo")
	groups, _ := os.ReadFile("/proc/self/cgroup")
	b.group("/sys/fs/cgroup", string(groups))
	return b
}

// available is MemAvailable, in bytes.
func available(name string) uint64 {
	text, _ := os.ReadFile(name)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kb, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10
		}
	}
	return 0
}

// group reads what a container may use: the least that a control group of the process, or one above it, says (cgroup v2, and v1 as
// containers see it).
func (b *Bound) group(root, groups string) {
	at := ""
	for line := range strings.Lines(groups) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			at = rest
		}
	}
	for dir := filepath.Join("/", at); ; dir = filepath.Dir(dir) {
		b.memory(filepath.Join(root, dir, "memory.max"))
		if quota, period, ok := strings.Cut(words(filepath.Join(root, dir, "cpu.max")), " "); ok {
			b.processors(quota, period)
		}
		if dir == "/" {
			break
		}
	}
	b.memory(filepath.Join(root, "memory", "memory.limit_in_bytes"))
	b.processors(words(filepath.Join(root, "cpu", "cpu.cfs_quota_us")), words(filepath.Join(root, "cpu", "cpu.cfs_period_us")))
}

func words(name string) string {
	text, _ := os.ReadFile(name)
	return strings.TrimSpace(string(text))
}

func (b *Bound) memory(name string) {
	n, err := strconv.ParseUint(words(name), 10, 64) // "max" is none
	if err == nil && n > 0 && n < 1<<60 && (b.Memory == 0 || n < b.Memory) {
		b.Memory = n
	}
}

func (b *Bound) processors(quota, period string) {
	q, err1 := strconv.ParseFloat(quota, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 == nil && err2 == nil && q > 0 && p > 0 && (b.Processors == 0 || q/p < b.Processors) {
		b.Processors = q / p
	}
}

// ClockSet says whether something keeps the clock of the machine right (adjtimex(2)); ok false: it is not told.
func ClockSet() (set, ok bool) {
	var t syscall.Timex
	state, err := syscall.Adjtimex(&t)
	const unset, failed = 0x40, 5 // STA_UNSYNC, TIME_ERROR
	return state != failed && t.Status&unset == 0, err == nil
}
