package localapi

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/encoding/json"

	"durable/ipc/task"
)

// answers are all that the API answers with.
var answers = []any{
	task.Task{}, task.TaskList{}, task.Event{}, task.Info{}, task.Stats{}, task.Envelope{}, task.BackupResult{}, task.ReloadResult{},
	task.PruneResult{}, task.StdinState{}, KindList{}, ArtifactList{},
}

// fill sets everything below v from seed, so that each answer is met with nothing, with little and with all in it.
func fill(v reflect.Value, seed *seed) {
	if seed.next()%5 == 0 {
		return
	}
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = time.Unix(int64(seed.next())*1e7, int64(seed.next())*3_000_001).In(time.FixedZone("", int(seed.next()%3)*3600))
		return
	case *stdjson.RawMessage:
		*x = []stdjson.RawMessage{
			nil, []byte(`{}`), []byte(" {\n \"a\" : [ 1 , \"<&> \u2028\" ] }\n"), []byte(`"text"`), []byte(`null`), []byte(`-1.5e+7`),
		}[seed.next()%6]
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), seed)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), seed)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), int(seed.next()%3), 3))
		for i := range v.Len() {
			fill(v.Index(i), seed)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range seed.next() % 4 {
			key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, seed)
			fill(elem, seed)
			v.SetMapIndex(key, elem)
		}
	case reflect.String:
		v.SetString(seed.text())
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(int64(seed.next()) << (seed.next() % 56) * (1 - 2*int64(seed.next()%2)))
	case reflect.Uint64, reflect.Uint, reflect.Uint32:
		v.SetUint(uint64(seed.next()) << (seed.next() % 24))
	case reflect.Float64:
		v.SetFloat(float64(seed.next()) / float64(1+int(seed.next())) * []float64{1, 1e-9, 1e22}[seed.next()%3])
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Interface:
		if v.NumMethod() == 0 {
			v.Set(reflect.ValueOf([]any{"text <", 7, 1.5e300, true, map[string]any{"b": nil, "a": []string{"x"}}}[seed.next()%5]))
		}
	default:
		panic(v.Type())
	}
}

// seed is a sequence of bytes without an end.
type seed struct {
	b []byte
	n int
}

func (s *seed) next() byte {
	s.n++
	if len(s.b) == 0 {
		return byte(s.n)
	}
	return s.b[s.n%len(s.b)] + byte(s.n/len(s.b))
}

func (s *seed) text() string {
	from := int(s.next()) % (len(s.b) + 1)
	return string(s.b[from:min(len(s.b), from+int(s.next()%40))])
}

// TestAnswerTypes have nothing that the two encoders write differently.
func TestAnswerTypes(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var look func(typ reflect.Type, path string)
	look = func(typ reflect.Type, path string) {
		if seen[typ] {
			return
		}
		seen[typ] = true
		switch {
		case typ == reflect.TypeFor[time.Duration]():
			t.Errorf("%s is a time.Duration: use task.Duration", path)
		case typ == reflect.TypeFor[time.Time]():
		case typ.Kind() == reflect.Struct:
			for i := range typ.NumField() {
				if f := typ.Field(i); strings.Contains(f.Tag.Get("json"), "omitzero") {
					t.Errorf("%s.%s: omitzero is not heeded", path, f.Name)
				} else if f.IsExported() {
					look(f.Type, path+"."+f.Name)
				}
			}
		case typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map:
			look(typ.Elem(), path)
		}
	}
	for _, a := range answers {
		look(reflect.TypeOf(a), reflect.TypeOf(a).Name())
	}
	if len(seen) < 50 {
		t.Errorf("only %d types were looked at", len(seen))
	}
}

// gone is a client that has left.
type gone struct{ http.ResponseWriter }

func (gone) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
func (gone) FlushError() error         { return nil }

// TestClientOfEventsIsGone: the stream ends at the first event that cannot be written, and its last line tells of it.
func TestClientOfEventsIsGone(t *testing.T) {
	for _, n := range []next{{event: task.Event{Type: task.EventDaemon}}, {err: errors.New("broken")}} {
		events := make(chan next, 2)
		events <- n
		events <- next{err: io.EOF}
		if err := writeEvents(gone{}, events); !errors.Is(err, io.ErrClosedPipe) || len(events) != 1 {
			t.Errorf("%+v: %v, and %d left", n, err, len(events))
		}
	}
}

// FuzzAnswers: what a client reads does not depend on whose encoder wrote it.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("a plain title, and more of it"))
	f.Add([]byte("\x00\x01\x1f \x7f\"\\/<>&'\b\f\n\r\t \u00e9\u2028\u2029\ufffd\U0001f600 \xff\xc3 long enough for the fast way"))
	for i := range 50 {
		f.Add(fmt.Appendf(nil, "%d of %d\xe2\x80", i*7919, i))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, a := range answers {
			v := reflect.New(reflect.TypeOf(a)).Elem()
			fill(v, &seed{b: b})
			want, wantErr := stdjson.Marshal(v.Interface())
			got, err := json.Marshal(v.Interface())
			if (err == nil) != (wantErr == nil) || !bytes.Equal(got, want) {
				t.Fatalf("%s: %v, %v\n%s\nwant\n%s", v.Type(), err, wantErr, got, want)
			}
		}
	})
}
