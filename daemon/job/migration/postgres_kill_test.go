package migration

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/daemon/job"
	"durable/daemon/job/migration/pgtest"
	"durable/ipc/task"
)

// killAt kills and restarts the server when the attempt comes to any point for the nth time, and reports whether it did.
func killAt(t *testing.T, l *line, s *pgtest.Server, n int) *bool {
	seen, killed := 0, false
	l.kind.commitEvery = 0
	l.kind.hook = func(string) error {
		if seen++; seen == n {
			killed = true
			s.Kill()
			if err := s.Start(); err != nil {
				t.Error(err)
				return err
			}
		}
		return nil
	}
	return &killed
}

// TestPostgresServerKilled kills the server at points of an attempt: the same attempt goes on and ends right.
func TestPostgresServerKilled(t *testing.T) {
	t.Parallel()
	s := pgtest.Own(t)
	for i, tt := range pgCrashCases {
		t.Run(tt.source+" to "+tt.destination+" "+tt.mode, func(t *testing.T) {
			for n := 1 + i; ; n += 20 {
				s.Exec(t, "postgres", "drop schema public cascade", "create schema public")
				params, got, want := pgCrash(t, s, "postgres", tt.source, tt.destination, tt.mode)
				l := prepare(t, params)
				killed := killAt(t, l, s, n)
				l.checkPG(t, got, want)
				if !*killed {
					break
				}
			}
		})
	}
}

// TestPostgresCommitLost: the server dies after it has committed, before it says so. The position tells.
func TestPostgresCommitLost(t *testing.T) {
	s, name := pgDatabase(t)
	for n := 1; n <= 8; n += 3 {
		s.Exec(t, name, "drop schema public cascade", "create schema public")
		params, got, want := pgCrash(t, s, name, "csv", "pg", "create")
		l := prepare(t, params)
		l.kind.commitEvery = 0
		seen := 0
		l.kind.hook = func(point string) error {
			if point != "committed" {
				return nil
			}
			if seen++; seen == n {
				return lostError{task.Errorf(task.Unavailable, "the answer was lost")}
			}
			return nil
		}
		l.checkPG(t, got, want)
	}
}

// TestPostgresGone: a server that stays away ends the attempt as unavailable; a later one goes on.
func TestPostgresGone(t *testing.T) {
	t.Parallel()
	s := pgtest.Own(t)
	params, got, want := pgCrash(t, s, "postgres", "csv", "pg", "create")
	l := prepare(t, params)
	l.kind.patience = 0
	l.kind.commitEvery = 0
	writes := 0
	l.kind.hook = func(point string) error {
		if point == "write" {
			if writes++; writes == 3 {
				s.Kill()
			}
		}
		return nil
	}
	if _, err := l.attempt(t.Context()); !errors.Is(err, task.Unavailable) || job.IsPermanent(err) {
		t.Fatalf("error %v, want unavailable", err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	l.kind = New()
	l.checkPG(t, got, want)
}

// TestPostgresFenced is TestFenced.
func TestPostgresFenced(t *testing.T) {
	s, name := pgDatabase(t)
	params, got, want := pgCrash(t, s, name, "csv", "pg", "create")
	l := prepare(t, params)
	l.task.Attempt = 1
	old := *l
	old.task.Attempt = 0
	old.kind = New()
	old.kind.commitEvery = 0
	commits := 0
	old.kind.hook = func(point string) error {
		if point == "committed" {
			if commits++; commits == 3 {
				l.checkPG(t, got, want)
			}
		}
		return nil
	}
	if _, err := old.attempt(t.Context()); !errors.Is(err, job.ErrFenced) {
		t.Fatalf("error %v, want ErrFenced", err)
	}
	if diff := cmp.Diff(want, got()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPostgresSourceChanged: what was read before and after a change must not mix.
func TestPostgresSourceChanged(t *testing.T) {
	for _, change := range []string{"update source set name = 'x' where id = 1", "delete from source where id = 20", "insert into source values (99, 'x')", ""} {
		t.Run(change, func(t *testing.T) {
			s, name := pgDatabase(t)
			params, got, want := pgCrash(t, s, name, "pg", "csv", "create")
			l := prepare(t, params)
			crashAt(l, "write", 3)
			if _, err := l.attempt(t.Context()); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			crashAt(l, "", 0)
			if change == "" {
				l.checkPG(t, got, want)
				return
			}
			s.Exec(t, name, change)
			_, err := l.attempt(t.Context())
			wantCode(t, err, task.FailedPrecondition, "changed since the migration began")
		})
	}
}

// TestPostgresNoKey: without a key, a copy begins again from zero, and nothing is there twice.
func TestPostgresNoKey(t *testing.T) {
	for _, destination := range []string{"pg", "csv", "db"} {
		t.Run(destination, func(t *testing.T) {
			s, name := pgDatabase(t)
			params, got, want := pgCrash(t, s, name, "pg", destination, "create")
			delete(params, "source_table")
			params["query"] = "select id, name from source order by id;"
			if destination != "csv" {
				params["destination_table"] = "data"
			}
			l := prepare(t, params)
			crashAt(l, "write", 4)
			if _, err := l.attempt(t.Context()); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			crashAt(l, "", 0)
			l.checkPG(t, got, want)
			if !strings.Contains(l.host.Output(), "from the beginning") {
				t.Errorf("log: %s", l.host.Output())
			}
		})
	}
}

// TestPostgresQueryKey: with a key, a query is read on from where it was; one that is not unique is refused.
func TestPostgresQueryKey(t *testing.T) {
	s, name := pgDatabase(t)
	params, got, want := pgCrash(t, s, name, "pg", "csv", "create")
	delete(params, "source_table")
	params["query"], params["key"] = "select id, name from source", "id"
	l := prepare(t, params)
	crashAt(l, "write", 4)
	if _, err := l.attempt(t.Context()); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	crashAt(l, "", 0)
	l.checkPG(t, got, want)
	params["destination_path"] = fmt.Sprint(params["destination_path"], ".2.csv")
	params["query"] = "select 1 as id, name from source"
	_, err := prepare(t, params).attempt(t.Context())
	wantCode(t, err, task.InvalidArgument, "not unique")
}
