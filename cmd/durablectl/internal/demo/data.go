package demo

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"

	"durable/cmd/durablectl/internal/sandbox"
)

// columns are those of the file; the first one tells the rows apart.
var columns = []string{"id", "ordered_at", "customer", "city", "product", "quantity", "price", "paid", "note"}

var (
	names    = []string{"Ada Lovelace", "Grace Hopper", "Edsger Dijkstra", "Zoë Müller", "Søren Ångström", "林 美咲", "O'Brien, Pat"}
	cities   = []string{"London", "Zürich", "São Paulo", "東京", "Reykjavík", "Washington, DC"}
	products = []string{"kettle", `27" monitor`, "notebook, ruled", "lamp", "chair"}
	notes    = []string{"", "", "gift", "call first", "two lines:\nleave it at the door", `said "thanks"`, "007"}
)

// writeOrders makes a CSV file of so many orders, with everything in it that makes CSV hard: quotes, commas, line
// breaks, empty cells, text that looks like a number, and characters of many alphabets.
func writeOrders(path string, rows int) (size int64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := bufio.NewWriterSize(f, 1<<20)
	w := csv.NewWriter(buf)
	if err := w.Write(columns); err != nil {
		return 0, err
	}
	r := rand.New(rand.NewPCG(1, 2)) // the same orders each time
	for i := range rows {
		if err := w.Write(order(r, i+1)); err != nil {
			return 0, err
		}
	}
	w.Flush()
	if err := errors.Join(w.Error(), buf.Flush()); err != nil {
		return 0, err
	}
	return f.Seek(0, io.SeekCurrent)
}

func order(r *rand.Rand, id int) []string {
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(id) * time.Minute)
	return []string{
		strconv.Itoa(id), at.Format(time.RFC3339), pick(names), pick(cities), pick(products),
		strconv.Itoa(1 + r.IntN(9)), fmt.Sprintf("%d.%02d", r.IntN(900), r.IntN(100)),
		strconv.FormatBool(r.IntN(5) > 0), pick(notes),
	}
}

// How long the copy should take to be watched, what a batch costs (one sync of the file, two of the store), and how
// many syncs tell what one takes here.
const (
	watchable     = 6 * time.Second
	syncsPerBatch = 3
	syncSamples   = 25
)

// batchSize returns how many rows to hand over at a time, so that the job lasts long enough to be watched on this
// machine, whose disk may be quick or slow.
func batchSize(box *sandbox.Sandbox, rows int) (int, error) {
	took, err := syncTime(box.Path("sync"))
	return batchFor(rows, took), err
}

func batchFor(rows int, sync time.Duration) int {
	const most = 1000 // what the job takes by itself
	return max(1, min(most, int(int64(rows)*int64(syncsPerBatch*sync)/int64(watchable))))
}

// syncTime returns the median time that a small write takes to be durable.
func syncTime(path string) (_ time.Duration, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(path)) }()
	page := make([]byte, 4096)
	var took []time.Duration
	for range syncSamples {
		began := time.Now()
		if _, err := f.WriteAt(page, 0); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
