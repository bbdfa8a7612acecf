// Package strictjson reads what comes from outside as JSON: one value, and no field that is not known, so that a misspelt "timeuot"
// is an error and does not run without its limit.
//
// # Design
//
// encoding/json, whose only way to refuse unknown fields is a Decoder. One of its decoders costs 1 KB of garbage, which for requests
// of 50 bytes was an eighth of all that a submit left behind; so they are used again, one value after the other as on a
// stream. Rejected: encoding/json/v2 (an experiment still), and a look of our own at the names.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// ErrMore: something follows the value.
var ErrMore = errors.New("more follows the JSON value")

// largest is the value, in bytes, up to which a decoder is kept: its buffer stays as large.
const largest = 16 << 10

// decoder reads one value after the other.
type decoder struct {
	in  bytes.Reader
	dec *json.Decoder
}

var decoders = sync.Pool{New: func() any {
	d := new(decoder)
	d.dec = json.NewDecoder(&d.in)
	d.dec.UseNumber()
	d.dec.DisallowUnknownFields()
	return d
}}

// Decode reads the one value of b into v; a number becomes a json.Number where v does not say what it is. Errors are those of
// json.Decoder, their offsets into b, io.EOF if b is empty, and one that wraps [ErrMore]. v keeps nothing of b.
func Decode(b []byte, v any) error {
	d := decoders.Get().(*decoder)
	d.in.Reset(b)
	begin := d.dec.InputOffset()
	if err := d.dec.Decode(v); err != nil { // a decoder that has failed once fails for good
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			syntax.Offset -= begin
		}
		return err
	}
	rest := b[d.dec.InputOffset()-begin:]
	if len(rest) == 0 && len(b) <= largest { // else the decoder has the rest in its buffer
		d.in.Reset(nil)
		decoders.Put(d)
	}
	if len(bytes.TrimLeft(rest, " \t\r\n")) > 0 {
		return fmt.Errorf("%w: %.20q", ErrMore, rest)
	}
	return nil
}
