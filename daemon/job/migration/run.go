package migration

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize"

	"durable/daemon/job"
	"durable/ipc/task"
)

// migration is one attempt.
type migration struct {
	j    *job.Context
	p    params
	hook func(string) error

	commitEvery time.Duration
	patience    time.Duration
	commits     int // of this attempt

	source source
	sink   sink
	// within is the migration of all tables of which this is one; nil: it stands alone.
	within *tables
	// rejects keeps the records left out; nil unless on_error=file.
	rejects *rejects

	started  time.Time
	before   task.Duration // what earlier attempts took
	reported time.Time
}

// run goes on from the phase that the last attempt reached.
func (m *migration) run(ctx context.Context) (_ *result, err error) {
	m.started = time.Now()
	m.source, m.sink = newSource(&m.p), m.newSink()
	if m.rejects, err = m.newRejects(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.sink.close(), m.rejects.close()) }()
	if s, ok := m.source.(interface{ close() }); ok {
		defer s.close()
	}
	if m.p.DryRun {
		return m.dryRun(ctx)
	}
	st, resumed, err := m.position(ctx)
	if err != nil {
		return nil, err
	}
	m.before = st.Elapsed
	m.report(st, "", true)
	if st.Phase == phaseCopying {
		if err := m.copy(ctx, st); err != nil {
			return nil, err
		}
		m.j.Logf("copied %s records in %s", humanize.Comma(st.Done.Records), m.since())
	}
	copied := time.Since(m.started)
	found, err := m.verify(ctx, st)
	if err != nil {
		return nil, err
	}
	verified := time.Since(m.started) - copied
	if err := m.publish(ctx, st); err != nil {
		return nil, err
	}
	m.report(st, "", true)
	rejected := ""
	if st.Rejected > 0 {
		rejected = m.rejects.path
	}
	return &result{
		Migrated: st.Done.Records, Total: st.Total, Source: m.p.Source, Destination: m.p.Destination,
		Success: true, CompletionTime: unixSeconds(time.Now()), Table: m.p.DestinationTable,
		Verified: true, ContentHash: found.String(), Skipped: st.Skipped, Skips: append([]skip{}, st.Skips...),
		Rejects: rejected, Bytes: m.sink.size(), Duration: (time.Duration(m.before) + time.Since(m.started)).Seconds(),
		CopySeconds: copied.Seconds(), VerifySecs: verified.Seconds(), ResumedFrom: resumed,
	}, nil
}

func (m *migration) since() time.Duration { return time.Since(m.started).Round(time.Millisecond) }

// position finds where to go on, or begins. It also returns how many records were there already.
func (m *migration) position(ctx context.Context) (*state, int64, error) {
	saved := new(state)
	if found, err := m.load(saved); err != nil {
		return nil, 0, err
	} else if !found {
		saved = nil
	}
	st, err := m.sink.claim(ctx, saved)
	if err != nil {
		return nil, 0, err
	}
	if st == nil {
		st, err = m.begin(ctx)
		return st, 0, err
	}
	if st.Phase == phaseCopying {
		if again, err := m.fromZero(ctx, st); err != nil || again {
			return st, 0, err
		}
		if err := m.unchanged(ctx, st); err != nil {
			return nil, 0, err
		}
		if err := m.rejects.open(st.Rejected); err != nil {
			return nil, 0, err
		}
	}
	m.j.Logf("going on after %s of %s records", humanize.Comma(st.Done.Records), humanize.Comma(st.Total))
	return st, st.Done.Records, nil
}

// begin surveys the source and makes the destination.
func (m *migration) begin(ctx context.Context) (*state, error) {
	st, err := m.plan(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.rejects.open(0); err != nil {
		return nil, err
	}
	if err := m.sink.create(ctx, st); err != nil {
		return nil, err
	}
	return st, m.checkpoint(st)
}

// plan surveys the source. It writes nothing.
func (m *migration) plan(ctx context.Context) (*state, error) {
	if err := m.p.check(ctx); err != nil {
		return nil, err
	}
	st := &state{Phase: phaseCopying}
	var err error
	if st.Source, err = m.source.fingerprint(); err != nil {
		return nil, err
	}
	size := humanize.IBytes(uint64(st.Source.Size))
	if m.p.SourceFormat == formatPostgres {
		size = humanize.Comma(st.Source.Rows) + " rows"
	}
	m.j.Logf("%s (%s, %s) -> %s (%s, %s)", m.p.Source, m.p.SourceFormat, size,
		m.p.Destination, m.p.DestinationFormat, m.p.Mode)
	all, err := m.source.header(ctx)
	if err != nil {
		return nil, err
	}
	found, err := m.source.survey(ctx, surveyOptions{
		columns: m.p.sourceNames(all), limit: m.p.limit(), types: !m.p.DestinationFormat.delimited() || m.p.DryRun,
		typed: m.p.DestinationFormat.typed(), rich: m.p.DestinationFormat == formatPostgres,
		bad: func(e *rowError) error {
			if m.p.OnError == onErrorFail {
				return e.fatal(m.p.Source)
			}
			if m.p.DryRun {
				st.skip(e)
			}
			return nil // the copy counts it
		},
		tick: m.counting,
	})
	if err != nil {
		return nil, err
	}
	if st.Columns, err = m.p.arrange(ctx, found.Columns); err != nil {
		return nil, err
	}
	st.Total = found.Records
	m.j.Logf("counted %s records in %s; columns: %s", humanize.Comma(st.Total), m.since(), describe(st.Columns))
	return st, nil
}

func describe(cols []column) string {
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = c.Name
		if t := first(string(c.Type), c.Decl); t != "" {
			names[i] += " (" + t + ")"
		}
	}
	return list(names)
}

// unchanged refuses a source that is no longer what the records so far came from.
func (m *migration) unchanged(ctx context.Context, st *state) error {
	if s, ok := m.source.(interface {
		unchanged(context.Context, *state) error
	}); ok {
		return s.unchanged(ctx, st)
	}
	now, err := m.source.fingerprint()
	if err == nil && now != st.Source {
		err = errSourceChanged(m.p.Source)
	}
	return err
}

func errSourceChanged(path string) error {
	return task.Errorf(task.FailedPrecondition, "source %s: changed since the migration began", path).
		WithHint("start the migration anew: records from before and after the change would mix")
}

// save makes records and position durable, first in the destination, then as the task's checkpoint.
func (m *migration) save(ctx context.Context, st *state) error {
	var err error
	if st.Rejected, err = m.rejects.sync(); err != nil {
		return err
	}
	st.Elapsed = m.before + task.Duration(time.Since(m.started))
	if err := m.sink.commit(ctx, st); err != nil {
		return err
	}
	m.commits++
	return m.checkpoint(st)
}

func (m *migration) checkpoint(st *state) error {
	if err := m.hook("checkpoint"); err != nil {
		return err
	}
	return m.keep(st)
}

// verify reads the destination back and compares.
func (m *migration) verify(ctx context.Context, st *state) (digest, error) {
	if err := m.hook("verify"); err != nil {
		return digest{}, err
	}
	start := time.Now()
	found, err := m.sink.verify(ctx, st, func(n int64) { m.report(st, fmt.Sprintf(", %d verified", n), false) })
	var bad *rowError
	if errors.As(err, &bad) {
		err = fmt.Errorf("line %d: %w", bad.line, err)
	} else if err != nil {
		return found, err
	}
	if err != nil || found != st.Done {
		e := task.Errorf(task.Internal, "destination %s differs from what was written: %d records (%s), want %d (%s)",
			m.p.Destination, found.Records, found, st.Done.Records, st.Done)
		if err != nil {
			e = task.Errorf(task.Internal, "destination %s cannot be read back: %w", m.p.Destination, err)
		}
		return found, job.Permanent(e.WithHint("something else wrote to it meanwhile; start the migration anew"))
	}
	m.j.Logf("verified %s records in %s: %s", humanize.Comma(found.Records), time.Since(start).Round(time.Millisecond), found)
	return found, nil
}

func (m *migration) publish(ctx context.Context, st *state) error {
	if st.Phase != phasePublish {
		st.Phase = phasePublish
		if err := m.checkpoint(st); err != nil {
			return err
		}
	}
	if err := m.hook("publish"); err != nil {
		return err
	}
	if err := m.rejects.publish(ctx, st); err != nil {
		return err
	}
	return m.sink.publish(ctx, st)
}

// reportEvery is how often progress is reported.
const reportEvery = 100 * time.Millisecond

// report tells how far the migration is: what is in the destination counts. phase is what is said besides.
func (m *migration) report(st *state, phase string, always bool) {
	if now := time.Now(); always || now.Sub(m.reported) >= reportEvery {
		m.reported = now
		m.progress(task.Progress{
			Done: st.Done.Records, Total: task.Total(st.Total), Unit: "records",
			Message: fmt.Sprintf("Migrated %d/%d records%s%s", st.Done.Records, st.Total, skippedText(st.Skipped), phase),
		})
	}
}

// skippedText: what was left out is said where success is.
func skippedText(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d skipped", n)
}

// counting tells how far the survey is. The total is not known yet.
func (m *migration) counting(n int64) {
	if now := time.Now(); now.Sub(m.reported) >= reportEvery {
		m.reported = now
		m.progress(task.Progress{Unit: "records", Message: fmt.Sprintf("Counted %d records in %s", n, filepath.Base(m.p.Source))})
	}
}
