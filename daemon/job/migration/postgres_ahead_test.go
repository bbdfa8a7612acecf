package migration

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"durable/ipc/task"
)

// TestPostgresVerifiedAhead: a large table is read while it is copied. What somebody changes afterwards in what was read, is
// seen; rows that come later into pages that were read, are read too.
func TestPostgresVerifiedAhead(t *testing.T) {
	const records = 20_000
	var csv strings.Builder
	csv.WriteString("id,note\n")
	for i := range records {
		_, _ = fmt.Fprintf(&csv, "%d,%s\n", i, strings.Repeat(strconv.Itoa(i%10), 1000))
	}
	source := write(t, "in.csv", csv.String())
	table := "create table data (id bigint, note text)"
	// Rows in 1,250 pages, and then room in all of them but the last.
	room := []string{table, "insert into data select 0, repeat('x', 1000) from generate_series(1, 10000)", "delete from data where ctid < '(1249,0)'", "vacuum data"}
	for _, tt := range []struct {
		name, change string
		there        []string
		differs      bool
	}{
		{name: "nothing"},
		{name: "lost", change: "delete from data where id = 7", differs: true},
		{name: "lost at the end", change: "delete from data where id = 19999", differs: true},
		{name: "changed", change: "update data set note = 'x' where id = 7", differs: true},
		{name: "doubled", change: "insert into data select * from data where id = 7", differs: true},
		{name: "exchanged", change: "with old as (delete from data where id = 7 returning *) insert into data select 7, 'x' from old", differs: true},
		{name: "written again", change: "update data set note = note where id < 100"},
		{name: "into old pages", there: room},
		{name: "into old pages, and lost", there: room, change: "delete from data where id = 7", differs: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server, name := pgDatabase(t, tt.there...)
			params := paths(source, server.SocketURL(name), "destination_table", "data", "rate_limit", 10_000)
			if tt.there != nil {
				params["mode"] = "append"
			}
			l := prepare(t, params)
			l.kind.hook = func(point string) error {
				if point == "verify" && tt.change != "" {
					server.Exec(t, name, tt.change)
				}
				return nil
			}
			_, err := l.attempt(t.Context())
			if tt.differs {
				wantCode(t, err, task.Internal, "differs from what was written")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(`verified 20,000 records in .*, \d\d?,\d+ of them read while copying`).MatchString(l.host.Output()) {
				t.Errorf("nothing was read ahead:\n%s", l.host.Output())
			}
		})
	}
}
