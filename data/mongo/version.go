package mongo

import "context"

// Version is what the server says that it is.
func (e *Engine) Version(ctx context.Context) (string, error) {
	c, ok := e.server.(*client)
	if !ok {
		return "MongoDB", nil
	}
	var built struct{ Version string }
	err := c.db.RunCommand(ctx, field("buildInfo", int32(1))).Decode(&built)
	return "MongoDB " + built.Version, classify("ask for the version", err)
}
