// Command pocketbase is PocketBase as a framework, with the two collections of bench/app made
// in code and open to everyone. It is a module of its own, so that PocketBase runs with
// exactly the SQLite that its release was tested with.
//
//	pocketbase serve --http=127.0.0.1:8090 --dir=DATA
package main

import (
	"log"

	"github.com/pocketbase/pocketbase"
	"github.com/pocketbase/pocketbase/core"
)

func main() {
	app := pocketbase.NewWithConfig(pocketbase.Config{HideStartBanner: true})
	app.OnServe().BindFunc(func(e *core.ServeEvent) error {
		e.InstallerFunc = nil // it would open a browser to make the first superuser
		if err := setUp(e.App); err != nil {
			return err
		}
		return e.Next()
	})
	if err := app.Start(); err != nil {
		log.Fatal(err)
	}
}

// setUp makes the collections in a fresh data folder and settles what the bench needs.
func setUp(app core.App) error {
	if _, err := app.FindCollectionByNameOrId("posts"); err == nil {
		return nil
	}
	settings := app.Settings()
	settings.Batch.Enabled = true
	settings.Batch.MaxRequests = 500
	settings.Batch.Timeout = 30
	settings.Logs.MaxDays = 0 // no row per request in its log database: the peers write none either
	if err := app.Save(settings); err != nil {
		return err
	}
	authors := authors()
	if err := app.Save(authors); err != nil {
		return err
	}
	return app.Save(posts(authors.Id))
}

func authors() *core.Collection {
	c := core.NewBaseCollection("authors")
	open(c)
	c.Fields.Add(
		&core.TextField{Name: "name", Required: true, Max: 100},
		&core.TextField{Name: "bio", Max: 2000},
	)
	addTimes(c)
	return c
}

func posts(authors string) *core.Collection {
	c := core.NewBaseCollection("posts")
	open(c)
	c.Fields.Add(
		&core.TextField{Name: "title", Required: true, Max: 200},
		&core.TextField{Name: "body", Max: 20000},
		&core.SelectField{Name: "status", Values: []string{"draft", "published", "archived"}, MaxSelect: 1},
		&core.NumberField{Name: "views", OnlyInt: true, Min: new(float64)},
		&core.RelationField{Name: "author", CollectionId: authors, Required: true, MaxSelect: 1},
	)
	addTimes(c)
	c.AddIndex("posts_status_created", false, "status, created, id", "")
	c.AddIndex("posts_author", false, "author, id", "")
	return c
}

// open lets everyone do everything: an empty rule holds for all, a nil one for superusers.
func open(c *core.Collection) {
	everyone := ""
	c.ListRule, c.ViewRule = &everyone, &everyone
	c.CreateRule, c.UpdateRule, c.DeleteRule = &everyone, &everyone, &everyone
}

func addTimes(c *core.Collection) {
	c.Fields.Add(
		&core.AutodateField{Name: "created", OnCreate: true},
		&core.AutodateField{Name: "updated", OnCreate: true, OnUpdate: true},
	)
}
