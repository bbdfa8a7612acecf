//go:build linux && ci

package daemon_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"durable/daemon/job/migration/pgtest"
	"durable/ipc/client"
	"durable/ipc/polltest"
	"durable/ipc/task"
)

// TestCIPostgresSecret: a password given by URL, parameter, environment or file is nowhere when the migration has
// ended, well or badly: in no file of the daemon's folder, no answer, event, or line of the log.
func TestCIPostgresSecret(t *testing.T) {
	server, dir, out := pgtest.Own(t), shortDir(t), t.TempDir()
	const wrong = "wr0ng-Passw0rd-of-nobody"
	secrets := []string{pgtest.Password, wrong}
	source := filepath.Join(out, "rows.csv")
	writeCSV(t, source, makeRows(50))
	file := filepath.Join(out, "password")
	if err := os.WriteFile(file, []byte(pgtest.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SHOP_PASSWORD", pgtest.Password)
	p := durabled(t, dir)
	c := dial(dir, client.Options{DialRetry: client.Forever})
	defer closeClient(c)
	inURL := func(password string) string {
		u, err := url.Parse(server.URL("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(u.User.Username(), password)
		return u.String()
	}
	var said bytes.Buffer // all that the daemon answers
	say := func(v any, err error) {
		text, e := json.Marshal(v)
		_, _ = fmt.Fprintf(&said, "%s %v %v\n", text, err, e) // a buffer takes all
		if known := (*task.Error)(nil); err != nil {
			known = task.AsError(err)
			_, _ = fmt.Fprintf(&said, "%s %v\n", known.Hint, known.Details)
		}
	}
	for i, tt := range []struct {
		place, password string
		ends            bool
	}{
		{inURL(pgtest.Password), "", true}, {server.URL("postgres"), pgtest.Password, true}, {server.URL("postgres"), "env:SHOP_PASSWORD", true},
		{server.URL("postgres"), "file:" + file, true}, {server.URL("postgres") + "&password=" + url.QueryEscape(pgtest.Password), "", true},
		{inURL(wrong), "", false}, {server.URL("postgres"), wrong, false}, {inURL(pgtest.Password) + "&sslmode=nonsense", "", false},
		{inURL(pgtest.Password), pgtest.Password, false}, {strings.Replace(inURL(pgtest.Password), "postgres://", "mysql://", 1), "", false},
	} {
		params := map[string]any{"source_path": source, "destination_path": tt.place, "destination_table": fmt.Sprint("rows", i)}
		if tt.password != "" {
			params["destination_password"] = tt.password
		}
		made, err := c.Submit(t.Context(), task.Spec{Kind: "data_migration", Params: mustJSON(params)}, "")
		say(made, err)
		if err != nil {
			if tt.ends {
				t.Errorf("%d: %v", i, err)
			}
			continue
		}
		polltest.True(t, 2*patience, "the task has ended", func() bool {
			got, err := c.Get(t.Context(), made.ID.Ref())
			say(got, err)
			return err == nil && got.Status.Terminal()
		})
		end := ended(t, dir, made.ID)
		if tt.ends != (end.Status == task.StatusCompleted) {
			t.Errorf("%d: %s %v", i, end.Status, end.Error)
		}
		if !tt.ends { // and a retry, whose secret is gone
			say(c.Retry(t.Context(), made.ID.Ref(), task.RetryRequest{}, ""))
		}
	}
	// One that fails on the way: the table refuses the records.
	server.Query(t, "postgres", "create table small (id bigint check (id < 10), code text, name text, amount float8, note text, day text)")
	made, err := c.Submit(t.Context(), task.Spec{Kind: "data_migration", Params: mustJSON(map[string]any{"source_path": source,
		"destination_path": inURL(pgtest.Password), "destination_table": "small", "mode": "append"})}, "")
	say(made, err)
	if err == nil {
		if end := ended(t, dir, made.ID); end.Status != task.StatusFailed {
			t.Errorf("the table takes everything: %s", end.Status)
		}
	}
	say(c.List(t.Context(), task.ListQuery{}))
	say(c.Stats(t.Context()))
	say(c.Kinds(t.Context()))
	say(c.Info(t.Context()))
	p.stop(dir)
	searchAll(t, dir, secrets, map[string][]byte{"answers": said.Bytes(), "log": []byte(p.stderr.String())})
}

// searchAll looks for the secrets in every file of dir and in texts, as they are and as they might be written.
func searchAll(t *testing.T, dir string, secrets []string, texts map[string][]byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		texts[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// An unused page of the store may hold what it held until it is used again: what the store knows is what counts.
	raw := texts[storeFile(dir)]
	for _, secret := range secrets {
		t.Logf("in unused pages of the store: %t", bytes.Contains(raw, []byte(secret)))
	}
	texts[storeFile(dir)] = storeContent(t, dir)
	// What only names a password is kept, and found: so would the password be.
	if store := texts[storeFile(dir)]; !bytes.Contains(store, []byte("env:SHOP_PASSWORD")) || len(texts) < 4 {
		t.Errorf("%d places were searched, and the store of %d bytes", len(texts), len(store))
	}
	for place, text := range texts {
		for _, secret := range secrets {
			for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
				if i := bytes.Index(text, []byte(form)); i >= 0 {
					t.Errorf("%s holds the password: %q", place, text[max(0, i-80):min(len(text), i+len(form)+20)])
				}
			}
		}
	}
}

// storeContent is every key and value of a store that nobody has open.
func storeContent(t *testing.T, dir string) []byte {
	t.Helper()
	db, err := bbolt.Open(storeFile(dir), 0o600, &bbolt.Options{ReadOnly: true, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var all []byte
	var walk func(b *bbolt.Bucket) error
	walk = func(b *bbolt.Bucket) error {
		return b.ForEach(func(k, v []byte) error {
			all = append(append(append(all, k...), v...), '\n')
			if v == nil {
				return walk(b.Bucket(k))
			}
			return nil
		})
	}
	if err := db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error { return walk(b) })
	}); err != nil {
		t.Fatal(err)
	}
	return all
}
