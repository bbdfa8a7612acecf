package job

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"durable/ipc/strictjson"
	"durable/ipc/task"
)

// Decode reads the parameters of a task, one JSON object, into v; nothing is as good as {}. What has the wrong type, and what is not known, is
// an [task.InvalidArgument] that names it. takes completes the sentence that tells what is known: "command takes cwd and env".
func Decode(raw json.RawMessage, v any, takes string) error {
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = json.RawMessage("{}")
	}
	err := strictjson.Decode(raw, v)
	if err == nil {
		return nil
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		field := wrong.Field[strings.LastIndexByte(wrong.Field, '.')+1:]
		return task.Errorf(task.InvalidArgument, "%s: a JSON %s, want %s", field, wrong.Value, wanted(wrong))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return task.Errorf(task.InvalidArgument, "unknown parameter %s", name).WithHint("%s", takes)
	}
	return task.Errorf(task.InvalidArgument, "parameters: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// wanted names the type of a field as a person does who writes JSON.
func wanted(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind().String() {
	case "int", "int64":
		return "a whole number"
	case "float64":
		return "a number"
	case "bool":
		return "true or false"
	case "slice":
		if e.Type.Elem().Kind() == reflect.String {
			return "an array of strings"
		}
		return "an array"
	case "map":
		return "an object of strings"
	}
	return "a string"
}
