package migration

import (
	"context"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"durable/ipc/task"
)

// plannedColumn is a column as a dry run tells of it.
type plannedColumn struct {
	Name string `json:"name"`
	From string `json:"from,omitempty"`
	Type string `json:"type"`
}

// dryRun tells what a migration would do. It reads the whole source and writes nothing, so that its result
// never claims success: that word is for records that arrived.
func (m *migration) dryRun(ctx context.Context) (*result, error) {
	st, err := m.plan(ctx)
	if err != nil {
		return nil, err
	}
	res := &result{
		DryRun: true, Total: st.Total, Skipped: st.Skipped, Skips: append([]skip{}, st.Skips...),
		Source: m.p.Source, Destination: m.p.Destination, Table: m.p.DestinationTable,
		CompletionTime: unixSeconds(time.Now()), Duration: m.since().Seconds(),
	}
	for _, c := range st.Columns {
		res.Columns = append(res.Columns, plannedColumn{c.Name, c.From, first(string(c.Type), c.Decl, string(typeMixed))})
	}
	if s, ok := m.sink.(interface {
		planTable(context.Context, []column) (string, error)
	}); ok {
		if res.CreateTable, err = s.planTable(ctx, st.Columns); err != nil {
			return nil, err
		}
	}
	m.progress(task.Progress{Total: task.Total(st.Total), Unit: "records", Message: fmt.Sprintf(
		"Dry run: %s records would be migrated%s", humanize.Comma(st.Total), skippedText(st.Skipped))})
	return res, nil
}
