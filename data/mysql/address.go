package mysql

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"syscall"

	"github.com/go-sql-driver/mysql"

	"github.com/bluell/plinth/fault"
)

// errAddress says nothing of the address: it may hold a password.
func errAddress() error {
	return fault.Address("cannot be read, or names no database", "mysql://user:password@host:3306/database")
}

// configured reads an address, and sets what must be whatever it says.
func configured(address string) (*mysql.Config, error) {
	config, err := parsed(address)
	var named *fault.Error
	if errors.As(err, &named) {
		return nil, err
	}
	if err != nil || config.DBName == "" {
		return nil, errAddress()
	}
	config.ClientFoundRows = true // an update that changes nothing has found its row
	config.MultiStatements, config.InterpolateParams, config.AllowAllFiles = false, false, false
	config.ParseTime, config.ColumnsWithAlias = false, false
	config.MaxAllowedPacket = 0 // the server's
	config.CheckConnLiveness = true
	config.Timeout, config.ReadTimeout, config.WriteTimeout = connectTime, 0, 0 // deadlines are set here
	config.Logger = &mysql.NopLogger{}                                          // errors are returned
	config.DialFunc = dial
	return config, nil
}

func parsed(address string) (*mysql.Config, error) {
	if !strings.Contains(address, "://") {
		return mysql.ParseDSN(address)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	config := mysql.NewConfig()
	config.Net, config.Addr = "tcp", u.Host
	if u.Host != "" && u.Port() == "" {
		config.Addr = net.JoinHostPort(u.Hostname(), "3306")
	}
	config.User, config.DBName = u.User.Username(), strings.TrimPrefix(u.Path, "/")
	config.Passwd, _ = u.User.Password()
	q := u.Query()
	for name := range q {
		if name != "tls" && name != "socket" {
			return nil, fault.New(fault.BadRequest, "an address of MySQL takes the parameters tls and socket, and no %q", name)
		}
	}
	config.TLSConfig = q.Get("tls")
	if socket := q.Get("socket"); socket != "" {
		config.Net, config.Addr = "unix", socket
	}
	return config, nil
}

// wireKey is under what a connection that is being made waits for its wire, whose deadlines it sets.
type wireKey struct{}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	wire, err := d.DialContext(ctx, network, address)
	if err == nil {
		wire = &wideReads{Conn: wire}
	}
	if c, ok := ctx.Value(wireKey{}).(*conn); ok {
		c.wire = wire
	}
	return wire, err
}

// wideReads reads as much at once as the server sends at once (net_buffer_length): the library would take an
// answer in pieces of 4 KB, each with a call of the system.
type wideReads struct {
	net.Conn
	buf  [16 << 10]byte
	left []byte // of buf: not taken yet
	lost error  // what was wrong when it was read or written last, of which the library only says that it is invalid
}

func (w *wideReads) Write(b []byte) (n int, err error) {
	n, err = w.Conn.Write(b)
	w.lost = err
	return n, err
}

func (w *wideReads) Read(b []byte) (n int, err error) {
	if len(w.left) == 0 {
		if len(b) >= len(w.buf) {
			n, err = w.Conn.Read(b)
			w.lost = err
			return n, err
		}
		n, err = w.Conn.Read(w.buf[:])
		if w.lost = err; n == 0 {
			return 0, err
		}
		w.left = w.buf[:n] // an error comes again with the next call
	}
	n = copy(b, w.left)
	w.left = w.left[n:]
	return n, nil
}

// SyscallConn is how the library looks at an idle connection; one that has said more than it was asked for is
// of no use.
func (w *wideReads) SyscallConn() (syscall.RawConn, error) {
	if c, ok := w.Conn.(syscall.Conn); ok && len(w.left) == 0 {
		return c.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}
