package migration

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"durable/daemon/job"
	"durable/ipc/task"
)

// pgPosition is the row of this attempt in the table _durable_position, which lies in the schema of the destination.
type pgPosition struct {
	owner
	conn   *pgConn
	schema string
}

func (o pgPosition) sql() string { return pgName{o.schema, positionTable}.sql() }

// positionLock guards the making and the removal of the table: both take it until their transaction ends.
const positionLock = "select pg_advisory_xact_lock(7211837460925811)"

// claim makes the position this attempt's own and returns it; nil: there is none.
func (o pgPosition) claim(ctx context.Context) (*state, error) {
	if there, err := o.there(ctx); err != nil || !there {
		return nil, err
	}
	st, err := o.take(ctx)
	if undefinedTable(err) { // since then: that of others, the last of whom has ended
		return nil, nil
	}
	return st, err
}

func (o pgPosition) take(ctx context.Context) (*state, error) {
	row, err := o.conn.one(ctx, "update "+o.sql()+` set task_id = $2, attempt = $3::bigint
		where root_id = $1 and (task_id < $2 or task_id = $2 and attempt <= $3::bigint) returning state`,
		string(o.root), string(o.task), strconv.Itoa(o.attempt))
	if err != nil {
		return nil, err
	}
	if row == nil {
		if row, err = o.conn.one(ctx, "select state from "+o.sql()+" where root_id = $1", string(o.root)); err == nil && row != nil {
			err = o.fenced()
		}
		return nil, err
	}
	st := new(state)
	if err := json.Unmarshal([]byte(row[0]), st); err != nil {
		return nil, fmt.Errorf("position in %s: %w", o.conn.place, err)
	}
	return st, nil
}

func (o pgPosition) there(ctx context.Context) (bool, error) {
	row, err := o.conn.one(ctx, "select to_regclass($1) is not null", o.sql())
	return err == nil && row[0] == "t", err
}

// insert makes st the first position, in the transaction that makes the destination. The collation makes IDs of
// later tasks larger whatever the database's is.
func (o pgPosition) insert(ctx context.Context, st *state) error {
	text, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("encode position: %w", err)
	}
	err = o.conn.exec(ctx, positionLock+"; create table if not exists "+o.sql()+` (
		root_id text collate "C" primary key, task_id text collate "C" not null, attempt bigint not null, state text not null)`)
	if err != nil {
		return err
	}
	n, err := o.conn.run(ctx, "insert into "+o.sql()+" values ($1, $2, $3::bigint, $4) on conflict do nothing",
		string(o.root), string(o.task), strconv.Itoa(o.attempt), string(text))
	if err == nil && n == 0 {
		return o.fenced()
	}
	return err
}

// update moves the position, if it still is this attempt's.
func (o pgPosition) update(ctx context.Context, st *state) error {
	text, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("encode position: %w", err)
	}
	n, err := o.conn.run(ctx, "update "+o.sql()+" set state = $4 where root_id = $1 and task_id = $2 and attempt = $3::bigint",
		string(o.root), string(o.task), strconv.Itoa(o.attempt), string(text))
	if err == nil && n == 0 || undefinedTable(err) {
		return o.fenced() // without the table, another attempt has finished and was cleaned up after
	}
	return err
}

func (o pgPosition) fenced() error {
	return fmt.Errorf("destination %s: position of %s: %w", o.conn.place, o.root, job.ErrFenced)
}

// removePGPosition forgets the position of a line of tasks, and the table with the last of them.
func removePGPosition(ctx context.Context, conn *pgConn, schema string, root task.ID) error {
	o := pgPosition{owner: owner{root: root}, conn: conn, schema: schema}
	if err := conn.exec(ctx, "begin; "+positionLock); err != nil {
		return err
	}
	there, err := o.there(ctx)
	if err != nil || !there {
		return err
	}
	if _, err := conn.run(ctx, "delete from "+o.sql()+" where root_id = $1", string(root)); err != nil {
		return err
	}
	row, err := conn.one(ctx, "select exists (select from "+o.sql()+")")
	if err == nil && row[0] == "f" {
		err = conn.exec(ctx, "drop table "+o.sql())
	}
	if err != nil {
		return err
	}
	return conn.exec(ctx, "commit")
}
