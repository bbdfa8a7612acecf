package migration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"durable/daemon/job/jobtest"
	"durable/daemon/job/migration/pgtest"
	"durable/ipc/task"
)

// BenchmarkMigrateCSVToPostgres moves records, verified, in turn with what psql's \copy makes of the same file in the same
// server: orders of six columns, sales of ten. copy-of-psql is the speed of what psql does too, of-psql that with the verification, which
// reads everything back and which psql has not: as parts of psql's, the medians of the rounds. The times are those of one round; processor
// seconds are of one more, since who watches them takes part. MIGRATE_ROWS changes the number of records from 100,000,
// MIGRATE_ROUNDS that of rounds from 3.
func BenchmarkMigrateCSVToPostgres(b *testing.B) {
	rows, rounds := fromEnv(b, "MIGRATE_ROWS", 100_000), fromEnv(b, "MIGRATE_ROUNDS", 3)
	for _, tt := range []struct {
		name, columns string
		write         func(testing.TB, string, int)
	}{
		{"orders", "id bigint, customer text, email text, amount numeric, created_at text, code text", writeOrders},
		{"sales", "id bigint, customer bigint, sku text, quantity bigint, price numeric, discount numeric, paid boolean, created_at text, city text, note text", writeSales},
	} {
		b.Run(tt.name, func(b *testing.B) {
			server, name := pgDatabase(b)
			c := pgContest{server: server, database: name, url: server.SocketURL(name), columns: tt.columns,
				source: filepath.Join(b.TempDir(), "source.csv"), rows: rows}
			tt.write(b, c.source, rows)
			for range b.N {
				for range rounds {
					c.round(b)
				}
			}
			c.report(b)
			c.watch(b)
		})
	}
}

func fromEnv(tb testing.TB, name string, n int) int {
	tb.Helper()
	if s := os.Getenv(name); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			tb.Fatal(err)
		}
	}
	return n
}

// pgContest is durable and psql, in turn.
type pgContest struct {
	server                         *pgtest.Server
	database, url, columns, source string
	rows                           int
	rounds                         int
	ratios, copyRatios             []float64
	survey, copied, verified, psql time.Duration
}

func (c *pgContest) clear(b *testing.B) {
	c.server.Exec(b, c.database, "drop table if exists source", "drop table if exists _durable_position", "checkpoint")
}

func (c *pgContest) round(b *testing.B) {
	c.rounds++
	c.clear(b)
	start := time.Now()
	var created, verifying time.Time
	k := New()
	k.hook = func(point string) error {
		switch point {
		case "created":
			created = time.Now()
		case "verify":
			verifying = time.Now()
		}
		return nil
	}
	c.migrate(b, k)
	all := time.Since(start)
	c.survey += created.Sub(start)
	c.copied += verifying.Sub(created)
	c.verified += start.Add(all).Sub(verifying)
	if took, _ := c.byPsql(b); took > 0 {
		c.psql += took
		c.ratios = append(c.ratios, took.Seconds()/all.Seconds())
		c.copyRatios = append(c.copyRatios, took.Seconds()/verifying.Sub(start).Seconds())
	}
}

// watch reports processor time, of a round that is not timed.
func (c *pgContest) watch(b *testing.B) {
	c.clear(b)
	ours, theirs := processCPU(), c.server.WatchCPU()
	c.migrate(b, New())
	b.ReportMetric((processCPU() - ours).Seconds(), "our-cpu-s")
	b.ReportMetric(theirs().Seconds(), "server-cpu-s")
	theirs = c.server.WatchCPU()
	_, used := c.byPsql(b)
	b.ReportMetric((used + theirs()).Seconds(), "psql-and-server-cpu-s")
}

func (c *pgContest) migrate(b *testing.B, k *Kind) {
	b.Helper()
	raw, err := json.Marshal(map[string]any{"source_path": c.source, "destination_path": c.url, "table": "source"})
	if err != nil {
		b.Fatal(err)
	}
	plan, err := k.Prepare(b.Context(), task.Spec{Kind: "data_migration", Params: raw})
	if err != nil {
		b.Fatal(err)
	}
	got, err := k.Run(b.Context(), jobtest.New(b).Context(task.Task{ID: "019a", RootID: "019a", Attempt: 1, Params: plan.Params}))
	if err != nil {
		b.Fatal(err)
	}
	if res := got.(*result); res.Migrated != int64(c.rows) || !res.Verified {
		b.Fatalf("got %+v, want %d verified records", res, c.rows)
	}
}

// byPsql returns how long it took, and psql's processor time; 0 without psql.
func (c *pgContest) byPsql(b *testing.B) (took, used time.Duration) {
	program, err := exec.LookPath("psql")
	if err != nil {
		return 0, 0
	}
	c.clear(b)
	c.server.Exec(b, c.database, "create table source ("+c.columns+")")
	start := time.Now()
	cmd := exec.Command(program, c.url, "-c", `\copy source from '`+c.source+`' csv header`)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("psql: %v: %s", err, out)
	}
	return time.Since(start), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

func (c *pgContest) report(b *testing.B) {
	n := time.Duration(c.rounds)
	b.ReportMetric(float64(c.rows)/((c.survey+c.copied+c.verified)/n).Seconds(), "rows/s")
	for name, took := range map[string]time.Duration{"survey-s": c.survey, "copy-s": c.copied, "verify-s": c.verified} {
		b.ReportMetric((took / n).Seconds(), name)
	}
	b.ReportMetric(float64(rssAnon())/1024, "RssAnon-MB")
	if len(c.ratios) == 0 {
		b.Log("no psql: no comparison")
		return
	}
	for name, ratios := range map[string][]float64{"of-psql": c.ratios, "copy-of-psql": c.copyRatios} {
		slices.Sort(ratios)
		b.ReportMetric(ratios[len(ratios)/2], name)
	}
	b.ReportMetric(float64(c.rows)/(c.psql/n).Seconds(), "psql-rows/s")
}

// writeSales writes a file with ten columns, about 110 bytes a record: integers, decimals, a boolean, a time, texts.
func writeSales(tb testing.TB, path string, rows int) {
	tb.Helper()
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	w := bufio.NewWriter(f)
	rng := rand.New(rand.NewPCG(3, 4))
	cities := []string{"Madrid", "København", "São Paulo", "\"Washington, D.C.\"", "Kraków", "Lyon"}
	_, _ = fmt.Fprintln(w, "id,customer,sku,quantity,price,discount,paid,created_at,city,note")
	for i := range rows {
		_, _ = fmt.Fprintf(w, "%d,%d,SKU-%05d,%d,%d.%02d,0.%02d,%t,2026-%02d-%02d %02d:%02d:%02d.%03d+00,%s,order of customer %d\n",
			i+1, rng.IntN(1_000_000), rng.IntN(99999), rng.IntN(20)+1, rng.IntN(1000), rng.IntN(100), rng.IntN(30), i%3 > 0,
			i%12+1, i%28+1, i%24, i%60, i%59, i%1000, cities[i%len(cities)], i%7919)
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	if err := f.Close(); err != nil {
		tb.Fatal(err)
	}
}
