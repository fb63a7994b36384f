package mail

import (
	"encoding/json"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

// sealer seals what mails carry, under a key that nothing else uses: data opens the payload of a job for whoever may look
// at jobs, and he is not to read the links in it.
type sealer struct{ aead *subtle.XChaCha20Poly1305 }

func newSealer(secret []byte) (*sealer, error) {
	key, err := data.Derive(secret, "seal mails")
	if err != nil {
		return nil, err
	}
	aead, err := subtle.NewXChaCha20Poly1305(key)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "seal mails", err)
	}
	return &sealer{aead}, nil
}

// bound is what a sealed message belongs to: with another template, or a later end, it does not open.
func (p *payload) bound() []byte {
	return []byte("mail/" + string(p.Mail) + "/" + p.Until.Format(time.RFC3339Nano))
}

func (s *sealer) seal(p *payload, m *Message) ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "seal a mail", err)
	}
	out, err := s.aead.Encrypt(text, p.bound())
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "seal a mail", err)
	}
	return out, nil
}

func (s *sealer) open(p *payload, m *Message) error {
	text, err := s.aead.Decrypt(p.Sealed, p.bound())
	if err == nil {
		err = json.Unmarshal(text, m)
	}
	if err != nil {
		return final("the mail does not open: another PLINTH_KEY, or it was changed")
	}
	return nil
}
