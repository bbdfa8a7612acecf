package migration

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"durable/daemon/job/migration/pgtest"
	"durable/ipc/task"
)

// Migrations into one database share the table of positions: the last that ends removes it, while others look for theirs.

// comeAndGo has one line of tasks begin and end, over and over, while others ask for a position that they do not have.
func comeAndGo(t *testing.T, rounds int, insert, remove func(ctx context.Context) error, claim func(ctx context.Context, i int) (*state, error)) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	over := make(chan struct{})
	group.Go(func() error {
		defer close(over)
		for range rounds {
			if err := insert(ctx); err != nil {
				return fmt.Errorf("insert: %w", err)
			}
			if err := remove(ctx); err != nil {
				return fmt.Errorf("remove: %w", err)
			}
		}
		return nil
	})
	for i := range 2 {
		group.Go(func() error {
			for n := 0; ; n++ {
				select {
				case <-over:
					return nil
				case <-ctx.Done():
					return nil
				default:
				}
				if st, err := claim(ctx, i); err != nil || st != nil {
					return fmt.Errorf("claim %d: %v, %w", n, st, err)
				}
			}
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

func TestPositionsComeAndGo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.db")
	open := func() *database {
		db, err := openDatabase(t.Context(), "destination", path, mayCreate)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.close() })
		return db
	}
	first, others := open(), []*database{open(), open()}
	insert := func(ctx context.Context) error {
		if _, err := first.exec(ctx, "begin immediate"); err != nil {
			return err
		}
		if err := (owner{root: "first", task: "first", attempt: 1}).insert(ctx, first, &state{}); err != nil {
			return err
		}
		_, err := first.exec(ctx, "commit")
		return err
	}
	comeAndGo(t, 100, insert,
		func(ctx context.Context) error { return removePosition(ctx, first, "first") },
		func(ctx context.Context, i int) (*state, error) {
			return owner{root: task.ID(fmt.Sprint("other", i)), task: "t", attempt: 1}.claim(ctx, others[i])
		})
}

// TestRemovalsBesideEachOther: two lines of tasks that end at once both forget their positions.
func TestRemovalsBesideEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.db")
	var dbs [2]*database
	for i := range dbs {
		db, err := openDatabase(t.Context(), "destination", path, mayCreate)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.close() })
		dbs[i] = db
	}
	for range 50 {
		for i := range dbs {
			root := task.ID(fmt.Sprint(i))
			if err := (owner{root: root, task: root, attempt: 1}).insert(t.Context(), dbs[0], &state{}); err != nil {
				t.Fatal(err)
			}
		}
		group, ctx := errgroup.WithContext(t.Context())
		for i, db := range dbs {
			group.Go(func() error { return removePosition(ctx, db, task.ID(fmt.Sprint(i))) })
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if left, err := dbs[0].table(t.Context(), positionTable); err != nil || left != nil {
			t.Fatalf("the table is left: %v, %v", left, err)
		}
	}
}

func TestPGPositionsComeAndGo(t *testing.T) {
	server, name := pgDatabase(t)
	connect := func() *pgConn {
		conn, err := connectPostgres(t.Context(), "destination", server.URL(name), pgtest.Password)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.close)
		return conn
	}
	first, second, others := connect(), connect(), []*pgConn{connect(), connect()}
	insert := func(ctx context.Context) error {
		if err := first.exec(ctx, "begin"); err != nil {
			return err
		}
		if err := (pgPosition{owner{root: "first", task: "first", attempt: 1}, first, "public"}).insert(ctx, &state{}); err != nil {
			return err
		}
		return first.exec(ctx, "commit")
	}
	comeAndGo(t, 150, insert,
		func(ctx context.Context) error { return removePGPosition(ctx, second, "public", "first") },
		func(ctx context.Context, i int) (*state, error) {
			return pgPosition{owner{root: task.ID(fmt.Sprint("other", i)), task: "t", attempt: 1}, others[i], "public"}.claim(ctx)
		})
}
