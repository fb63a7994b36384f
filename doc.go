// Package plinth is the whole backend of a web application, made from one app file. It is the only
// place that wires: it reads the app, collects what the rooms keep for themselves, opens the
// database, and puts the doors before it.
//
//	p, err := plinth.Open(ctx, "myapp", plinth.OnFile("", func(file string) (*sqlite.Engine, error) {
//		return sqlite.Open(file, sqlite.Options{})
//	}))
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//	return http.ListenAndServe("127.0.0.1:8080", p.Handler())
//
// Nothing registers itself: a program links the engines that it names.
package plinth
