package store

import (
	"context"
	"testing"

	"durable/ipc/task"
)

func TestSmoke(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var id task.ID
	for i := 0; i < 5; i++ {
		err = s.Update(context.Background(), Admission, func(tx *Tx) error {
			rec := Record{Task: task.Task{Kind: "noop", Status: "pending", Phase: "queued"}}
			if err := tx.PutKey("a", KeyEntry{}, &rec); err != nil {
				return err
			}
			id = rec.Task.ID
			return tx.Create(&rec)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.View(func(tx *Tx) error {
		rec, err := tx.Task(id)
		t.Logf("%+v %v", rec, err)
		l, err := tx.List(task.ListQuery{Limit: 2})
		t.Logf("%+v %v", l, err)
		l, err = tx.List(task.ListQuery{Limit: 2, Cursor: l.NextCursor, Status: []task.Status{"pending"}})
		t.Logf("%+v %v", l, err)
		ev, err := tx.Events("start", 10)
		t.Logf("%+v %v", ev, err)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
