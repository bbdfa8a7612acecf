package migration

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"durable/daemon/job"
	"durable/ipc/task"
)

// patience is how long an attempt waits for a database server that is gone: a restart of it takes seconds.
const patience = time.Minute

// persist runs until the end, a server's loss included: it connects again, reads the position and goes on from there.
// Progress renews the patience. Whoever has lost a server for longer fails, and the task's policy decides.
func (m *migration) persist(ctx context.Context) (*result, error) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, 3*time.Second
	var since time.Time
	for {
		commits := m.commits
		res, err := m.run(ctx)
		if !isLost(err) || ctx.Err() != nil || errors.Is(err, job.ErrFenced) {
			return res, err
		}
		if since.IsZero() || m.commits > commits {
			since = time.Now()
			wait.Reset()
		}
		if time.Since(since) >= m.patience {
			return nil, err
		}
		m.j.Logf("%v; trying again", err)
		select {
		case <-time.After(wait.NextBackOff()):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// resetter is a sink of which what this line of tasks has written can be taken back.
type resetter interface {
	reset(ctx context.Context, st *state) error
}

// fromZero begins the copy again where the source has no order in which another attempt could read on. In a database
// what was copied is removed first; a partial file is written anew.
func (m *migration) fromZero(ctx context.Context, st *state) (bool, error) {
	s, ok := m.source.(interface {
		resumable(context.Context) (bool, error)
	})
	if !ok || st.Read == 0 {
		return false, nil
	}
	if can, err := s.resumable(ctx); can || err != nil {
		return false, err
	}
	m.j.Logf("the source has no key to go on by: from the beginning")
	sink, ok := m.sink.(resetter)
	if !ok {
		fresh, err := m.begin(ctx)
		if err == nil {
			*st = *fresh
		}
		return true, err
	}
	if m.p.Mode == modeAppend {
		return true, errAppendNoKey(&m.p)
	}
	if err := m.survey(ctx, st); err != nil {
		return true, err
	}
	if err := m.rejects.open(0); err != nil {
		return true, err
	}
	if err := sink.reset(ctx, st); err != nil {
		return true, err
	}
	return true, m.checkpoint(st)
}

// survey looks at the source again. The columns are those of the destination already.
func (m *migration) survey(ctx context.Context, st *state) error {
	var err error
	if st.Source, err = m.source.fingerprint(); err != nil {
		return err
	}
	found, err := m.source.survey(ctx, surveyOptions{columns: columnNames(sourceColumns(st.Columns)), limit: m.p.limit(), tick: m.counting})
	if err != nil {
		return err
	}
	st.Total, st.Read, st.At, st.Done, st.Skipped, st.Skips, st.Rejected = found.Records, 0, position{}, digest{}, 0, nil, 0
	return nil
}

func errAppendNoKey(p *params) error {
	return task.Errorf(task.InvalidArgument, "mode=append: source %s has no key to go on by after an interruption", p.Source).
		WithHint("with key, name columns that tell its records apart; or use create, replace or upsert")
}
