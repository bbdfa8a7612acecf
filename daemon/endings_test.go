package daemon_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"durable/daemon"
	"durable/daemon/notify"
	"durable/ipc/client"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// TestEndingsAreToldOnTheDesktop: what the configuration says is in force, from the start and after a reload.
func TestEndingsAreToldOnTheDesktop(t *testing.T) {
	o := &office{T: t, dir: shortDir(t)}
	o.write("[notify]\nafter = \"0s\"\n")
	notes, ready, ended := make(chan notify.Note), make(chan struct{}), make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	d := daemon.New(daemon.Config{
		Paths: socket.In(o.dir), Template: newTemplate, Ready: func() { close(ready) }, Logger: slog.New(slog.DiscardHandler),
		Desktop: func(ctx context.Context, note notify.Note) error {
			select {
			case notes <- note:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	})
	go func() { ended <- d.Run(ctx) }()
	c := dial(o.dir, client.Options{Via: task.ViaCLI})
	t.Cleanup(func() {
		closeClient(c)
		stop()
		if err := <-ended; err != nil {
			t.Errorf("daemon: %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		t.Fatalf("daemon: %v", err)
	}
	run := func(title, params string) {
		t.Helper()
		got, err := c.Submit(ctx, task.Spec{Kind: "noop", Title: title, Params: json.RawMessage(params)}, "")
		if err == nil {
			got, err = c.Wait(ctx, task.Ref(got.ID), time.Minute)
		}
		if err != nil || !got.Status.Terminal() {
			t.Fatalf("%s: %v, %v", title, got.Status, err)
		}
	}
	want := func(title string) {
		t.Helper()
		select {
		case note := <-notes:
			if note.Title != title {
				t.Errorf("%q, want %q", note.Title, title)
			}
		case <-time.After(time.Minute):
			t.Fatalf("no notification %q", title)
		}
	}
	run("good", `{"duration":"0s"}`)
	want("Done: good")
	run("bad", `{"fail":"no"}`)
	want("Failed: bad")

	o.write("[notify]\nenabled = false\nafter = \"0s\"\n")
	if result, err := c.Reload(ctx); err != nil || len(result.Changed) != 1 || result.Changed[0] != "notify" {
		t.Fatalf("%+v, %v", result, err)
	}
	run("quiet", `{"duration":"0s"}`)
	stop()
	for {
		select {
		case note := <-notes:
			t.Errorf("%q was told", note.Title)
		case err := <-ended:
			ended <- err
			return
		}
	}
}
