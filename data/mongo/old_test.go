package mongo

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/fault"
)

// TestOldServers: a server that is too old is told by its version, before anything is made there.
func TestOldServers(t *testing.T) {
	t.Parallel()
	for wire, version := range map[int32]string{9: "4.4.29", 7: "4.0.28"} {
		address := saying(t, bson.D{{Key: "ok", Value: 1}, {Key: "isWritablePrimary", Value: true}, {Key: "helloOk", Value: true}, {Key: "maxWireVersion", Value: wire},
			{Key: "maxBsonObjectSize", Value: 16 << 20}, {Key: "maxMessageSizeBytes", Value: 48 << 20}, {Key: "maxWriteBatchSize", Value: 1000}, {Key: "version", Value: version}})
		_, err := Open(t.Context(), "mongodb://"+address+"/db", Options{})
		kind, says := fault.Capability, "MongoDB 5 or later is needed, and this is 4.4.29"
		if wire < 9 { // so says the driver, which speaks with none of them
			kind, says = fault.Unavailable, "wire version 7"
		}
		if !fault.Is(err, kind) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", version, err)
		}
	}
}

// saying is the address of a server that answers every question with the same document (MongoDB's manual, "MongoDB
// Wire Protocol").
func saying(t *testing.T, d bson.D) string {
	t.Helper()
	doc, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for replied(c, doc) == nil {
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// replied reads a message and answers it in its own form: OP_MSG, or OP_QUERY, with which a driver begins.
func replied(c net.Conn, doc []byte) error {
	var head [16]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return err
	}
	int32At := func(i int) uint32 { return binary.LittleEndian.Uint32(head[i:]) }
	if _, err := io.CopyN(io.Discard, c, int64(int32At(0))-16); err != nil {
		return err
	}
	body, code := append(make([]byte, 5), doc...), uint32(2013) // no flags, one section
	if int32At(12) == 2004 {
		body, code = append(binary.LittleEndian.AppendUint32(make([]byte, 16), 1), doc...), 1 // one document
	}
	reply := binary.LittleEndian.AppendUint32(nil, uint32(16+len(body)))
	reply = binary.LittleEndian.AppendUint32(reply, 0)
	reply = binary.LittleEndian.AppendUint32(reply, int32At(4))
	reply = append(binary.LittleEndian.AppendUint32(reply, code), body...)
	_, err := c.Write(reply)
	return err
}
