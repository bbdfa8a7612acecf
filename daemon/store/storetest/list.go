package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"durable/daemon/store"
	"durable/ipc/task"
)

// pages lists with a small limit until the last page.
func (b *bench) pages(q task.ListQuery) (numbers []uint64, total *int) {
	b.Helper()
	for {
		var page task.TaskList
		b.view(func(tx *store.Tx) (err error) { page, err = tx.List(q); return err })
		for _, t := range page.Tasks {
			numbers = append(numbers, t.Number)
		}
		if total = page.Total; page.NextCursor == "" {
			return numbers, total
		}
		q.Cursor = page.NextCursor
	}
}

// testList holds every combination of filters to a model.
func testList(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	rnd := rand.New(rand.NewPCG(1, 2))
	base := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	kinds := []string{"a", "ab", "b"}
	var all []store.Record
	for i := range 60 {
		rec := Pending(kinds[rnd.IntN(len(kinds))])
		rec.Task.Priority = rnd.IntN(3) - 1
		if i%7 == 4 {
			rec.Task.RootID = all[3*(i%2)].Task.ID
		}
		rec = b.create(rec)
		if st := task.Statuses[rnd.IntN(len(task.Statuses))]; st.Terminal() {
			at := base.Add(time.Duration(rnd.IntN(20)) * time.Second)
			b.change(rec.Task.ID, end(st, at))
		} else if st == task.StatusRunning {
			b.change(rec.Task.ID, func(r *store.Record) { r.Task.Status, r.Task.Phase = st, task.PhaseRunning })
		} else if i%2 == 0 {
			b.change(rec.Task.ID, func(r *store.Record) { r.Task.Phase = task.PhasePaused })
		}
		all = append(all, b.task(rec.Task.ID))
	}
	byStatus(b, all)
	statuses := [][]task.Status{nil, {"failed"}, {"pending", "running"}, {"completed", "failed", "completed"}, task.Statuses}
	for _, order := range []task.Order{"", task.OrderCreated, task.OrderEnded} {
		for _, status := range statuses {
			for _, kind := range []string{"", "a", "ab", "none"} {
				for _, root := range []task.ID{"", all[0].Task.ID, all[3].Task.ID, all[5].Task.ID} {
					for _, limit := range []int{1, 7, 1000} {
						q := task.ListQuery{Order: order, Status: status, Kind: kind, Root: root, Limit: limit}
						want := model(all, q)
						got, total := b.pages(q)
						if diff := cmp.Diff(want, got); diff != "" {
							t.Fatalf("list %+v (-want +got):\n%s", q, diff)
						}
						if plain := kind == "" && root == ""; plain != (total != nil) || plain && *total != len(want) {
							t.Fatalf("list %+v: total %v, want %d", q, total, len(want))
						}
					}
				}
			}
		}
	}
}

// byStatus holds what is found by status, oldest first, to the records.
func byStatus(b *bench, all []store.Record) {
	b.Helper()
	for _, st := range task.Statuses {
		var want []task.ID
		for _, r := range all {
			if r.Task.Status == st {
				want = append(want, r.Task.ID)
			}
		}
		for _, limit := range []int{1, 3, len(all)} {
			var got []task.ID
			b.view(func(tx *store.Tx) (err error) { got, err = tx.ByStatus(st, limit); return err })
			if diff := cmp.Diff(want[:min(limit, len(want))], got); diff != "" {
				b.Errorf("%d by status %s (-want +got):\n%s", limit, st, diff)
			}
		}
	}
}

// model is the list as it is meant.
func model(all []store.Record, q task.ListQuery) (numbers []uint64) {
	var picked []task.Task
	for _, r := range all {
		t := r.Task
		if (q.Kind == "" || t.Kind == q.Kind) && (q.Root == "" || t.RootID == q.Root) &&
			(len(q.Status) == 0 || slices.Contains(q.Status, t.Status)) &&
			(q.Order != task.OrderEnded || t.Status.Terminal()) {
			picked = append(picked, t)
		}
	}
	slices.SortFunc(picked, func(a, b task.Task) int {
		if q.Order == task.OrderEnded && !a.CompletedAt.Equal(*b.CompletedAt) {
			return b.CompletedAt.Compare(*a.CompletedAt)
		}
		return int(b.Number) - int(a.Number)
	})
	for _, t := range picked {
		numbers = append(numbers, t.Number)
	}
	return numbers
}

func testListErrors(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	for range 3 {
		b.create(Pending("noop"))
	}
	list := func(q task.ListQuery) (page task.TaskList, err error) {
		err = b.View(func(tx *store.Tx) (err error) { page, err = tx.List(q); return err })
		return page, err
	}
	first, err := list(task.ListQuery{Limit: 2})
	if err != nil || first.NextCursor == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	for _, q := range []task.ListQuery{
		{Status: []task.Status{"done"}},
		{Limit: -1},
		{Limit: task.MaxLimit + 1},
		{Order: "random"},
		{Cursor: "x"},
		{Cursor: "not base64!"},
		{Cursor: first.NextCursor, Kind: "noop"},
		{Cursor: first.NextCursor, Order: task.OrderEnded},
	} {
		if _, err := list(q); !errors.Is(err, task.InvalidArgument) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if rest, err := list(task.ListQuery{Cursor: first.NextCursor, Order: task.OrderCreated}); err != nil || len(rest.Tasks) != 1 || rest.NextCursor != "" {
		t.Errorf("second page: %+v, %v", rest, err)
	}
	if page, err := list(task.ListQuery{Limit: 3}); err != nil || page.NextCursor != "" {
		t.Errorf("a page that is full and the last: %+v, %v", page, err)
	}
}

func testListLabels(t *testing.T, open Opener) {
	b := start(t, open, store.Options{})
	for i := range 9 {
		rec := Pending("noop")
		rec.Task.Labels = map[string]string{"repo": fmt.Sprint(i % 3), "all": ""}
		b.create(rec)
	}
	for _, tt := range []struct {
		labels map[string]string
		want   []uint64
	}{
		{map[string]string{"repo": "1"}, []uint64{8, 5, 2}},
		{map[string]string{"repo": "1", "all": ""}, []uint64{8, 5, 2}},
		{map[string]string{"repo": "1", "none": ""}, nil},
	} {
		got, _ := b.pages(task.ListQuery{Labels: tt.labels, Limit: 2})
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.labels, diff)
		}
	}
}
