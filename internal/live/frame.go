package live

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf8"
)

// The frames of RFC 6455, section 5, as a server reads and writes them. What is written is never masked, so the same bytes
// serve all clients.

const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA

	mostHeader  = 10       // bytes of the header of a frame that is not masked
	mostMessage = 32 << 10 // bytes of a message of a client
	mostControl = 125      // bytes of a control frame
)

// Status codes of a close frame (RFC 6455, 7.4.1).
const (
	statusNormal      = 1000
	statusGoingAway   = 1001
	statusProtocol    = 1002
	statusUnsupported = 1003
	statusNotText     = 1007
	statusPolicy      = 1008
	statusTooBig      = 1009
)

func appendHeader(dst []byte, op byte, size int) []byte {
	dst = append(dst, 0x80|op)
	switch {
	case size <= mostControl:
		return append(dst, byte(size))
	case size < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(size))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(size))
}

func closeFrame(status int, reason string) []byte {
	dst := appendHeader(nil, opClose, 2+len(reason))
	return append(binary.BigEndian.AppendUint16(dst, uint16(status)), reason...)
}

// broken is why a connection cannot go on: a status code for the client.
type broken struct {
	status int
	reason string
}

func (b *broken) Error() string { return b.reason }

// inbound reads the messages of a client.
type inbound struct {
	r       *bufio.Reader
	frame   func() error        // is called before each frame
	control func(answer []byte) // sends the answer to a control frame
	text    []byte              // of the message that is being read
	within  bool                // the first frame of it has come
}

var errClosed = errors.New("the client has closed the connection")

// next is the next message, valid until the one after it. The error of a client that has said goodbye is errClosed.
func (in *inbound) next() ([]byte, error) {
	in.text = in.text[:0]
	for {
		if err := in.frame(); err != nil {
			return nil, err
		}
		op, last, err := in.one()
		if err != nil {
			return nil, err
		}
		if op >= opClose {
			continue
		}
		if last {
			in.within = false
			if !utf8.Valid(in.text) {
				return nil, &broken{statusNotText, "a text is not UTF-8"}
			}
			return in.text, nil
		}
		in.within = true
	}
}

// one reads a frame. Its text is appended; control frames are answered.
func (in *inbound) one() (op byte, last bool, err error) {
	var b [8]byte
	if _, err := io.ReadFull(in.r, b[:2]); err != nil {
		return 0, false, err
	}
	op, last = b[0]&0xf, b[0]&0x80 != 0
	size := uint64(b[1] & 0x7f)
	switch {
	case b[0]&0x70 != 0:
		return op, last, &broken{statusProtocol, "no extension was agreed upon"}
	case b[1]&0x80 == 0:
		return op, last, &broken{statusProtocol, "a frame of a client is masked"}
	case op == opBinary:
		return op, last, &broken{statusUnsupported, "messages are texts"}
	case op > opPong || op > opBinary && op < opClose:
		return op, last, &broken{statusProtocol, "there is no such frame"}
	case op >= opClose && (size > mostControl || !last):
		return op, last, &broken{statusProtocol, "a control frame is short and whole"}
	case (op == opContinuation) != in.within && op < opClose:
		return op, last, &broken{statusProtocol, "a message goes on until it ends"}
	}
	extended := 0
	switch size {
	case 126:
		extended = 2
	case 127:
		extended = 8
	}
	if extended > 0 {
		if _, err := io.ReadFull(in.r, b[8-extended:]); err != nil {
			return op, last, err
		}
		clear(b[:8-extended])
		size = binary.BigEndian.Uint64(b[:])
	}
	if op < opClose && size > uint64(mostMessage-len(in.text)) {
		return op, last, &broken{statusTooBig, "a message has at most 32 KB"}
	}
	var mask [4]byte
	if _, err := io.ReadFull(in.r, mask[:]); err != nil {
		return op, last, err
	}
	var short [mostControl]byte
	var payload []byte
	if op < opClose {
		at := len(in.text)
		in.text = append(in.text, make([]byte, size)...)
		payload = in.text[at:]
	} else {
		payload = short[:size]
	}
	if _, err := io.ReadFull(in.r, payload); err != nil {
		return op, last, err
	}
	for i := range payload {
		payload[i] ^= mask[i&3]
	}
	switch op {
	case opPing:
		in.control(append(appendHeader(nil, opPong, len(payload)), payload...))
	case opClose:
		status := statusNormal
		if len(payload) >= 2 {
			status = int(binary.BigEndian.Uint16(payload))
		}
		if len(payload) == 1 || len(payload) >= 2 && !proper(status) || !utf8.Valid(payload[min(2, len(payload)):]) {
			return op, last, &broken{statusProtocol, "a close frame has a status and a text"}
		}
		in.control(closeFrame(status, ""))
		return op, last, errClosed
	}
	return op, last, nil
}

// proper says whether a status may be sent (RFC 6455, 7.4.2).
func proper(status int) bool {
	switch {
	case status >= 3000 && status <= 4999:
		return true
	case status < 1000 || status > 1014:
		return false
	}
	return status != 1004 && status != 1005 && status != 1006
}
