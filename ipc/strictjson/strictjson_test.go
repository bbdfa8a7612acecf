package strictjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"

	"durable/ipc/strictjson"
)

type request struct {
	Name  string          `json:"name"`
	Count int             `json:"count"`
	Raw   json.RawMessage `json:"raw"`
	Any   any             `json:"any"`
}

// fresh is what Decode has to do, with a decoder for each value.
func fresh(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if len(bytes.TrimLeft(b[dec.InputOffset():], " \t\r\n")) > 0 {
		return fmt.Errorf("%w: %.20q", strictjson.ErrMore, b[dec.InputOffset():])
	}
	return nil
}

// agree reports how Decode and fresh differ on b.
func agree(t *testing.T, b []byte) {
	t.Helper()
	var got, want request
	err, wantErr := strictjson.Decode(b, &got), fresh(b, &want)
	if !reflect.DeepEqual(err, wantErr) || !reflect.DeepEqual(got, want) {
		t.Fatalf("%.60q: %+v, %v\nwant %+v, %v", b, got, err, want, wantErr)
	}
}

var inputs = []string{
	`{"name":"a","count":1,"raw":{"x": [1, 2]},"any":12345678901234567890}`,
	`{}`, `{} `, " \n{}\r\n\t", `{"count":7}`, `null`, `7`, `7 `, `"text"`, `[]`,
	``, ` `, `{`, `{"name":"a"`, `{"name":"a",}`, `{"name":"a"}}`, `{"name":"a"} {"name":"b"}`, `{"name":"a"}x`,
	`{"nmae":"a"}`, `{"count":"7"}`, `{"count":1.5}`, "{\"name\":\"\x01\"}", "{\"name\":\"\xff\"}", `nul`, `x`, "\ufeff{}",
}

func TestDecode(t *testing.T) {
	for range 5 { // each meets a decoder that has just read another
		for _, in := range inputs {
			agree(t, []byte(in))
			agree(t, []byte(`{"name":"`+strings.Repeat("long ", 10_000)+`"}`))
			agree(t, []byte(`{"name":"good"}`))
		}
	}
}

func TestErrors(t *testing.T) {
	for range 3 {
		var r request
		if err := strictjson.Decode([]byte(`{"name":"a"} {}`), &r); !errors.Is(err, strictjson.ErrMore) {
			t.Errorf("two values: %v", err)
		}
		if err := strictjson.Decode(nil, &r); !errors.Is(err, io.EOF) {
			t.Errorf("nothing: %v", err)
		}
		if err := strictjson.Decode([]byte(`{"name":"good"}`), &r); err != nil {
			t.Error(err)
		}
		var syntax *json.SyntaxError
		if err := strictjson.Decode([]byte(`{"name" "a"}`), &r); !errors.As(err, &syntax) || syntax.Offset != 9 {
			t.Errorf("bad syntax: %v at %+v, want byte 9", err, syntax)
		}
	}
}

// TestKeepsNothing: a decoder that is used again must not write over what it has given away.
func TestKeepsNothing(t *testing.T) {
	var first request
	in := []byte(`{"name":"first","raw":{"k":"first"}}`)
	if err := strictjson.Decode(in, &first); err != nil {
		t.Fatal(err)
	}
	clear(in)
	for range 100 {
		var r request
		if err := strictjson.Decode([]byte(`{"name":"other","raw":{"k":"other"}}`), &r); err != nil {
			t.Fatal(err)
		}
	}
	if first.Name != "first" || string(first.Raw) != `{"k":"first"}` {
		t.Errorf("%+v", first)
	}
}

func TestConcurrent(t *testing.T) {
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 2_000 {
				agree(t, []byte(inputs[i%len(inputs)]))
			}
		})
	}
	group.Wait()
}

func FuzzDecode(f *testing.F) {
	for _, in := range inputs {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		agree(t, b)
		agree(t, []byte(`{"name":"good"}`))
	})
}

func BenchmarkDecode(b *testing.B) {
	in := []byte(`{"name":"noop","raw":{"duration":"0s"}}`)
	for name, fn := range map[string]func([]byte, any) error{"again": strictjson.Decode, "fresh": fresh} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var r request
				if err := fn(in, &r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
