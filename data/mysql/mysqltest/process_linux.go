package mysqltest

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// attributes: MariaDB refuses to run as root, and ends when this program does, however that ends.
func attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if id, ok := nobody(); ok {
		a.Credential = &syscall.Credential{Uid: uint32(id), Gid: uint32(id)}
	}
	return a
}

// own gives a folder to whom MariaDB runs as.
func own(dir string) error {
	if id, ok := nobody(); ok {
		return os.Chown(dir, id, id)
	}
	return nil
}

// nobody is whom to run as, for root.
func nobody() (int, bool) {
	if os.Getuid() != 0 {
		return 0, false
	}
	if u, err := user.Lookup("nobody"); err == nil {
		if id, err := strconv.Atoi(u.Uid); err == nil {
			return id, true
		}
	}
	return 65534, true
}
