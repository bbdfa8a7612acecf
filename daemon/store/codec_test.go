package store

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"durable/ipc/task"
)

// populate gives every field below v a value of its own, so that one that the codec forgets is seen.
func populate(v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(int64(1700000000+*n), int64(*n)).UTC()))
		return
	case task.ID:
		v.SetString(fmt.Sprintf("019a0000-0000-7000-8000-%012x", *n))
		return
	case map[string]any:
		v.Set(reflect.ValueOf(map[string]any{"detail": fmt.Sprint(*n)}))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			populate(v.Field(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		populate(v.Elem(), n)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(fmt.Appendf(nil, `"%d"`, *n))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			populate(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"a": fmt.Sprint(*n), "b": ""}))
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d", *n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n) * 1_000_003)
	case reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Interface: // task.Error.Err stays in the process
	default:
		panic(v.Type().String())
	}
}

// TestCodecCarriesEverything: a field that is added to task.Task must be added to the tables too.
func TestCodecCarriesEverything(t *testing.T) {
	var want, got stored
	n := 0
	populate(reflect.ValueOf(&want).Elem(), &n)
	want.Task.Checkpoint = nil // kept beside the record
	if err := recordFields.parse(recordFields.append(nil, &want), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}

	var wantEvent, gotEvent task.Event
	populate(reflect.ValueOf(&wantEvent).Elem(), &n)
	wantEvent.Cursor = "" // its key
	if err := eventFields.parse(eventFields.append(nil, &wantEvent), &gotEvent); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantEvent, gotEvent); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

// TestCodecZero: nothing becomes something on its way through.
func TestCodecZero(t *testing.T) {
	zero := int64(0)
	for _, want := range []stored{
		{},
		{Record: Record{Task: task.Task{Progress: task.Progress{Total: &zero}, Retry: &task.Retry{}, Error: &task.Error{}}}},
		{Record: Record{Task: task.Task{ID: "not a uuid", CreatedAt: time.Date(9999, 1, 1, 0, 0, 0, 7, time.UTC)}}},
	} {
		var got stored
		if err := recordFields.parse(recordFields.append(nil, &want), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("record (-want +got):\n%s", diff)
		}
	}
}

// TestCodecMessageLengths: a message within another is written in place, at any length as protowire would.
func TestCodecMessageLengths(t *testing.T) {
	for _, n := range []int{0, 1, 124, 125, 126, 127, 128, 16_379, 16_380, 16_384, 16_385, 1 << 20} {
		said := strings.Repeat("x", n)
		s := task.Summary{Error: said}
		want := protowire.AppendBytes(protowire.AppendTag([]byte("before"), 4, protowire.BytesType), summaryFields.append(nil, &s))
		got := objectAt(4, summaryFields, func(s **task.Summary) **task.Summary { return s }).put([]byte("before"), new(&s))
		if !bytes.Equal(got, want) {
			t.Errorf("an error of %d bytes: %.40q of %d bytes, want %.40q of %d", n, got, len(got), want, len(want))
		}
		var back *task.Summary
		_, _, head := protowire.ConsumeField(got[len("before"):])
		if head < 0 {
			t.Fatal(protowire.ParseError(head))
		}
		body, _ := protowire.ConsumeBytes(got[len("before")+1:])
		back = new(task.Summary)
		if err := summaryFields.parse(body, back); err != nil || back.Error != said {
			t.Errorf("an error of %d bytes was read as one of %d: %v", n, len(back.Error), err)
		}
	}
}

// TestValuesOfATransaction: they lie in one piece of memory, and none may write over another.
func TestValuesOfATransaction(t *testing.T) {
	tx := &Tx{scratch: new(scratch)}
	want := map[string]string{}
	got := map[string][]byte{}
	for i := range 200 {
		key := fmt.Sprint(i)
		ev := task.Event{Message: strings.Repeat(key+" ", i*i%3000)}
		got[key] = encode(tx, []byte(key), eventFields, &ev)
		want[key] = string(got[key])
	}
	for key, value := range got {
		var ev task.Event
		body, err := unseal([]byte(key), value)
		if err == nil {
			err = eventFields.parse(body, &ev)
		}
		if err != nil || string(value) != want[key] || !strings.HasPrefix(ev.Message+key, key) {
			t.Errorf("value %s: %v, %.40q", key, err, ev.Message)
		}
		if cap(value) != len(value) {
			t.Errorf("value %s: an append would write over the next one", key)
		}
	}
}

// TestIndexedFields: what a change reads of the record that it replaces is all that the indexes need.
func TestIndexedFields(t *testing.T) {
	var full, part stored
	n := 0
	populate(reflect.ValueOf(&full).Elem(), &n)
	key, _ := key16(full.Task.ID)
	for _, st := range []task.State{
		{Status: task.StatusPending, Phase: task.PhaseQueued}, {Status: task.StatusPending, Phase: task.PhaseScheduled},
		{Status: task.StatusPending, Phase: task.PhaseRetryWait}, {Status: task.StatusFailed},
		{Status: task.StatusPending, Phase: task.PhaseAwaitingApproval},
	} {
		full.Task.Status, full.Task.Phase = st.Status, st.Phase
		part = stored{}
		if err := indexedFields.parse(recordFields.append(nil, &full), &part); err != nil {
			t.Fatal(err)
		}
		for _, x := range indexes {
			if want, got := x.key(nil, key, &full), x.key(nil, key, &part); !bytes.Equal(want, got) {
				t.Errorf("%v: index %s: key %x from the whole record, %x from its indexed fields", st, x.region, want, got)
			}
		}
	}
}

// TestSeal: every single flipped bit is seen, and so is a value under another key.
func TestSeal(t *testing.T) {
	key := []byte("key")
	value := seal(key, append(make([]byte, sealSize), "the body"...))
	if body, err := unseal(key, value); err != nil || string(body) != "the body" {
		t.Fatalf("%q, %v", body, err)
	}
	for bit := range len(value) * 8 {
		broken := bytes.Clone(value)
		broken[bit/8] ^= 1 << (bit % 8)
		if _, err := unseal(key, broken); !errors.Is(err, errDamaged) {
			t.Errorf("bit %d: %v", bit, err)
		}
	}
	if _, err := unseal([]byte("kez"), value); !errors.Is(err, errDamaged) {
		t.Errorf("other key: %v", err)
	}
	for n := range len(value) {
		if _, err := unseal(key, value[:n]); !errors.Is(err, errDamaged) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	var r stored
	n := 0
	populate(reflect.ValueOf(&r).Elem(), &n)
	f.Add(recordFields.append(nil, &r))
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Add([]byte{0x42, 0x02, 0x01, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		var first, second stored
		if err := recordFields.parse(b, &first); err != nil {
			if !errors.Is(err, errDamaged) {
				t.Fatalf("parse: %v", err)
			}
			return
		}
		again := recordFields.append(nil, &first)
		if err := recordFields.parse(again, &second); err != nil {
			t.Fatalf("parse of what was encoded: %v", err)
		}
		if third := recordFields.append(nil, &second); !bytes.Equal(again, third) {
			t.Errorf("encoded twice:\n%x\n%x", again, third)
		}
	})
}

func FuzzCursor(f *testing.F) {
	for _, seed := range []string{"9a4d51cb.5", "9a4d51cb.0", "", ".", "a.", ".1", "a.01", "a.-1", "a.18446744073709551616", "start"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		epoch, seq, err := parseCursor(task.Cursor(text))
		if err != nil {
			if !errors.Is(err, task.InvalidArgument) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if back := fmt.Sprintf("%s.%d", epoch, seq); back != text {
			t.Errorf("%q reads as %q", text, back)
		}
	})
}

func FuzzListCursor(f *testing.F) {
	q := task.ListQuery{Kind: "noop"}
	f.Add(listCursor(q, make([]byte, idSize)), false)
	f.Add("", true)
	f.Add("AQIDBA", true)
	f.Fuzz(func(t *testing.T, text string, ended bool) {
		q := q
		q.Cursor = text
		if ended {
			q.Order = task.OrderEnded
		}
		last, err := parseListCursor(q)
		if err != nil {
			if !errors.Is(err, task.InvalidArgument) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if text != "" && len(last) != idSize && len(last) != idSize+8 {
			t.Errorf("%q: %d bytes", text, len(last))
		}
	})
}
