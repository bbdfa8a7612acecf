package localapi

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"durable/ipc/strictjson"
	"durable/ipc/task"
)

// maxDrain is how much of a body that is too large is read and dropped, in bytes, so that its sender,
// who reads only when he has written all, gets the answer instead of a broken pipe.
const maxDrain = 64 << 20

// readJSON reads the body into v. An empty body leaves v as it is if optional, and is an error otherwise.
func readJSON(r *http.Request, v any, optional bool) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		if optional {
			return nil
		}
		return task.Errorf(task.InvalidArgument, "request body: empty, want JSON").WithHint("%s", fieldsOf(v))
	}
	if err := contentType(r); err != nil {
		return err
	}
	if err := strictjson.Decode(body, v); err != nil {
		return badJSON(err, v)
	}
	return nil
}

// noBody refuses anything but nothing, or {}.
func noBody(r *http.Request) error { return readJSON(r, &struct{}{}, true) }

func readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	if n := r.ContentLength; n > 0 && n <= task.MaxBody {
		body := make([]byte, n)
		_, err := io.ReadFull(r.Body, body)
		return body, broken(err)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, task.MaxBody+1))
	if err != nil {
		return nil, broken(err)
	}
	if len(body) > task.MaxBody {
		_, _ = io.CopyN(io.Discard, r.Body, maxDrain)
		return nil, task.Errorf(task.InvalidArgument, "request body: larger than %d bytes", task.MaxBody).
			WithHint("put the data into a file and name the file")
	}
	return body, nil
}

func broken(err error) error {
	if err == nil {
		return nil
	}
	return task.Errorf(task.InvalidArgument, "request body: %w", err)
}

func contentType(r *http.Request) error {
	v := r.Header["Content-Type"]
	if len(v) == 0 || v[0] == jsonType[0] {
		return nil
	}
	if t, _, err := mime.ParseMediaType(v[0]); err == nil && t == jsonType[0] {
		return nil
	}
	return task.Errorf(task.InvalidArgument, "content type %.80q: want application/json", v[0]).
		WithHint("with curl: --json instead of -d")
}

// badJSON says what is wrong with a body that was to be read into v.
func badJSON(err error, v any) error {
	var (
		own    *task.Error
		typed  *json.UnmarshalTypeError
		syntax *json.SyntaxError
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &typed):
		field := typed.Field
		if field == "" {
			field = "request body"
		}
		return task.Errorf(task.InvalidArgument, "%s: a %s, want %s", field, typed.Value, jsonName(typed.Type))
	case errors.As(err, &syntax):
		return task.Errorf(task.InvalidArgument, "request body: not JSON: %w, at byte %d", err, syntax.Offset).WithHint(oneValue)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return task.Errorf(task.InvalidArgument, "request body: not JSON: it breaks off").WithHint(oneValue)
	case errors.Is(err, strictjson.ErrMore):
		return task.Errorf(task.InvalidArgument, "request body: %w", err).WithHint(oneValue)
	}
	return task.Errorf(task.InvalidArgument, "request body: %s", strings.TrimPrefix(err.Error(), "json: ")).WithHint("%s", fieldsOf(v))
}

const oneValue = "send one JSON object; in a shell, put single quotes around it"

// fieldsOf says which fields a body may have that is read into v.
func fieldsOf(v any) string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(v).Elem()) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "this route wants no body"
	}
	return "the fields are " + strings.Join(names, ", ")
}

// jsonName says what a Go type is in JSON.
func jsonName(t reflect.Type) string {
	if t == reflect.TypeFor[task.Duration]() {
		return "a duration"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "an integer"
}
