package migration

import (
	"context"
	"encoding/json"
	"fmt"

	"durable/daemon/job"
	"durable/ipc/task"
)

// owner is the attempt that a destination belongs to. The number alone would not do: a retry is a new
// task in the same line, and its attempts count from 1 again.
type owner struct {
	root    task.ID
	task    task.ID
	attempt int
}

// The position table. A row is there from the first transaction of a line of tasks until its end.
const positionSchema = `create table if not exists ` + positionTable + ` (
	root_id text primary key not null,
	task_id text not null,
	attempt integer not null,
	state   text not null
) without rowid`

// claim makes the position this attempt's own and returns it; nil: there is none. IDs of later tasks
// are larger, so that a late attempt never takes it back from one that came after.
func (o owner) claim(ctx context.Context, db *database) (*state, error) {
	text, err := o.find(ctx, db)
	if err != nil || text == "" {
		return nil, err
	}
	n, err := db.exec(ctx, "update "+positionTable+` set task_id = ?2, attempt = ?3
		where root_id = ?1 and (task_id < ?2 or task_id = ?2 and attempt <= ?3)`,
		string(o.root), string(o.task), int64(o.attempt))
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, o.fenced(db)
	}
	// Read again: what the earlier owner committed between the two statements counts.
	if text, err = o.text(ctx, db); err != nil {
		return nil, err
	}
	st := new(state)
	if err := json.Unmarshal([]byte(text), st); err != nil {
		return nil, fmt.Errorf("position in %s: %w", db.path, err)
	}
	return st, nil
}

// find returns the position as it is written, empty if there is none. The table may be that of others, the last of whom removes it
// just now: hence one transaction for both looks. With a position of one's own in it, it stays.
func (o owner) find(ctx context.Context, db *database) (text string, err error) {
	if _, err := db.exec(ctx, "begin"); err != nil {
		return "", err
	}
	defer func() {
		if _, e := db.exec(context.WithoutCancel(ctx), "rollback"); err == nil {
			err = e
		}
	}()
	if there, err := positionsIn(ctx, db); err != nil || !there {
		return "", err
	}
	return o.text(ctx, db)
}

func (o owner) text(ctx context.Context, db *database) (string, error) {
	return db.text(ctx, "select state from "+positionTable+" where root_id = ?", string(o.root))
}

// positionsIn reports whether there are positions. Others may make the table, or remove it, at any time.
func positionsIn(ctx context.Context, db *database) (bool, error) {
	t, err := db.table(ctx, positionTable)
	return t != nil, err
}

// insert makes st the first position.
func (o owner) insert(ctx context.Context, db *database, st *state) error {
	text, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("encode position: %w", err)
	}
	if _, err := db.exec(ctx, positionSchema); err != nil {
		return err
	}
	n, err := db.exec(ctx, "insert or ignore into "+positionTable+" values (?, ?, ?, ?)",
		string(o.root), string(o.task), int64(o.attempt), string(text))
	if err == nil && n == 0 {
		return o.fenced(db)
	}
	return err
}

// update moves the position, if it still is this attempt's.
func (o owner) update(ctx context.Context, db *database, st *state) error {
	text, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("encode position: %w", err)
	}
	n, err := db.exec(ctx, "update "+positionTable+" set state = ? where root_id = ? and task_id = ? and attempt = ?",
		string(text), string(o.root), string(o.task), int64(o.attempt))
	if err == nil && n == 0 {
		return o.fenced(db)
	}
	if err != nil {
		if there, e := positionsIn(ctx, db); e == nil && !there {
			return o.fenced(db) // another attempt has finished and was cleaned up after
		}
	}
	return err
}

func (o owner) fenced(db *database) error {
	return fmt.Errorf("destination %s: position of %s: %w", db.path, o.root, job.ErrFenced)
}

// removePosition forgets the position of a line of tasks, and the table with the last of them.
func removePosition(ctx context.Context, db *database, root task.ID) error {
	if there, err := positionsIn(ctx, db); err != nil || !there {
		return err
	}
	if _, err := db.exec(ctx, "begin immediate"); err != nil {
		return err
	}
	err := func() error {
		if there, err := positionsIn(ctx, db); err != nil || !there { // somebody else was faster
			return err
		}
		if _, err := db.exec(ctx, "delete from "+positionTable+" where root_id = ?", string(root)); err != nil {
			return err
		}
		left, err := db.int(ctx, "select count(*) from "+positionTable)
		if err == nil && left == 0 {
			_, err = db.exec(ctx, "drop table "+positionTable)
		}
		return err
	}()
	end := "commit"
	if err != nil {
		end = "rollback"
	}
	if _, e := db.exec(context.WithoutCancel(ctx), end); err == nil {
		err = e
	}
	return err
}

// claimed is the state to go on from: st was found in the destination, saved is the checkpoint, and either may be nil; nil if both are.
// what holds the destination: a file, or a database.
func claimed(p *params, st, saved *state, what string) (*state, error) {
	switch {
	case st != nil && saved != nil && saved.Phase == phasePublish:
		st.Phase = phasePublish
	case st == nil && saved != nil && saved.Phase == phasePublish:
		st = saved // it had been completed, and its position removed
	case st == nil && saved != nil:
		return nil, task.Errorf(task.FailedPrecondition, "destination %s: the position of this migration is gone from it", p.Destination).
			WithHint("the %s was replaced, or the migration completed by another retry; start it anew", what)
	}
	return st, nil
}
