package mcpserver

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"durable/ipc/logs"
	"durable/ipc/task"
)

// The other URIs; [statusPrefix] is in view.go.
const (
	listURI    = "task://list"
	listPrefix = "task://list/"
	logPrefix  = "task://log/"
)

// maxListedResource is the number of tasks in task://list and task://list/{status}.
const maxListedResource = 200

// uri is one of our URIs, taken apart.
type uri struct {
	// raw is all of it, as the client gave it.
	raw string
	// prefix is statusPrefix, logPrefix, listPrefix or listURI.
	prefix string
	// arg is the task reference or the status word as the client gave it.
	arg string
}

// parseURI reports whether s is one of ours.
func parseURI(s string) (uri, bool) {
	if s == listURI {
		return uri{raw: s, prefix: listURI}, true
	}
	for _, prefix := range []string{statusPrefix, logPrefix, listPrefix} {
		arg, ok := strings.CutPrefix(s, prefix)
		if !ok {
			continue
		}
		if plain, err := url.PathUnescape(arg); err == nil {
			arg = plain
		}
		return uri{s, prefix, arg}, arg != ""
	}
	return uri{}, false
}

// addResources makes the resources known; [Server.route] says what becomes of a read.
func (s *Server) addResources() {
	read := func(ctx context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		u, ok := ctx.Value(uriKey{}).(uri)
		if !ok {
			return nil, mcp.ResourceNotFoundError(req.Params.URI)
		}
		return s.readResource(ctx, u)
	}
	const jsonType = "application/json"
	s.mcp.AddResource(&mcp.Resource{
		URI: listURI, Name: "tasks", Title: "Tasks", MIMEType: jsonType,
		Description: "Durable background jobs: all unfinished ones, then the latest ended",
	}, read)
	for _, t := range []mcp.ResourceTemplate{
		{URITemplate: statusPrefix + "{task_id}", Name: "task-status", Title: "Task status", MIMEType: jsonType,
			Description: "Status of a durable background job"},
		{URITemplate: listPrefix + "{status}", Name: "tasks-by-status", Title: "Tasks by status", MIMEType: jsonType,
			Description: "Durable background jobs in one status"},
		{URITemplate: logPrefix + "{task_id}", Name: "task-log", Title: "Task log", MIMEType: "text/plain",
			Description: "The end of a durable background job's log"},
	} {
		s.mcp.AddResourceTemplate(&t, read)
	}
}

func (s *Server) readResource(ctx context.Context, u uri) (*mcp.ReadResourceResult, error) {
	var content any
	var err error
	switch u.prefix {
	case statusPrefix:
		content, err = s.readStatus(ctx, u.arg)
	case logPrefix:
		content, err = s.readLog(ctx, u.arg)
	case listPrefix:
		content, err = s.readListStatus(ctx, u.arg)
	default:
		content, err = s.readList(ctx)
	}
	if err != nil {
		return nil, protocolError(err)
	}
	text, plain := content.(string)
	mime := "text/plain"
	if !plain {
		text, mime = string(encode(content)), "application/json"
	}
	return &mcp.ReadResourceResult{
		Contents:  []*mcp.ResourceContents{{URI: u.raw, MIMEType: mime, Text: text}},
		Cacheable: mcp.Cacheable{CacheScope: "private"},
	}, nil
}

// notFound is what clients of the tutorial's server expect in place of a protocol error.
type notFound struct {
	Error  string `json:"error"`
	TaskID string `json:"task_id"`
}

// unknownTask reports whether err says that ref names no task, and the contents that say so.
func unknownTask(err error, ref string) (notFound, bool) {
	unknown := errors.Is(err, task.NotFound) || errors.Is(err, task.InvalidArgument)
	return notFound{"Task not found", ref}, unknown
}

func (s *Server) readStatus(ctx context.Context, ref string) (any, error) {
	t, err := s.svc.Get(ctx, task.Ref(ref))
	if missing, ok := unknownTask(err, ref); ok {
		return missing, nil
	}
	if err != nil {
		return nil, err
	}
	return forResource.view(t), nil
}

// readLog answers an empty text for a task that has no log yet.
func (s *Server) readLog(ctx context.Context, ref string) (any, error) {
	p, err := readTail(ctx, s.svc, task.Ref(ref), logs.Options{Tail: maxOutputLines}, maxLogResource)
	if _, ok := unknownTask(err, ref); ok {
		if _, err := s.svc.Get(ctx, task.Ref(ref)); err == nil {
			return "", nil
		}
		missing, _ := unknownTask(err, ref)
		return missing, nil
	}
	if err != nil {
		return nil, err
	}
	return p.text, nil
}

// list is the tutorial's list. It never has a key "error": clients test for its presence.
type list struct {
	Tasks        []row  `json:"tasks"`
	StatusFilter string `json:"status_filter,omitempty"`
	Total        int    `json:"total"`
}

func newList(tasks []task.Task, total *int, filter string) list {
	l := list{Tasks: make([]row, len(tasks)), StatusFilter: filter, Total: len(tasks)}
	for i, t := range tasks {
		l.Tasks[i] = forResource.row(t)
	}
	if total != nil {
		l.Total = *total
	}
	return l
}

func (s *Server) readList(ctx context.Context) (any, error) {
	tasks, total, err := listAll(ctx, s.svc, "", maxListedResource)
	return newList(tasks, total, ""), err
}

// invalidStatus is the tutorial's answer to a status that there is not.
type invalidStatus struct {
	Error string   `json:"error"`
	Valid []string `json:"valid_statuses"`
}

func (s *Server) readListStatus(ctx context.Context, word string) (any, error) {
	status := task.Status(strings.ToLower(word))
	if !status.Valid() {
		return invalidStatus{"Invalid status: " + word, statusWords()}, nil
	}
	tasks, total, err := listStatus(ctx, s.svc, status, "", maxListedResource)
	return newList(tasks, total, word), err
}

// complete offers IDs and statuses. It never starts a daemon, and having nothing to offer is no error.
func (s *Server) complete(ctx context.Context, req *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
	var found []string
	typed := strings.ToLower(req.Params.Argument.Value)
	switch req.Params.Argument.Name {
	case "status":
		found = slices.DeleteFunc(statusWords(), func(w string) bool { return !strings.HasPrefix(w, typed) })
	case "task_id":
		found = s.completeID(ctx, typed)
	}
	if found == nil {
		found = []string{} // the protocol wants an array
	}
	return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: found, Total: len(found)}}, nil
}

// maxCompletions is the protocol's own limit.
const maxCompletions = 100

func (s *Server) completeID(ctx context.Context, typed string) []string {
	l, err := s.quiet.List(ctx, task.ListQuery{Limit: task.MaxLimit})
	if err != nil {
		return nil
	}
	var found []string
	for _, t := range l.Tasks {
		if len(found) < maxCompletions && matchesRef(task.Ref(typed), t.ID, t.Number) {
			found = append(found, string(t.ID))
		}
	}
	return found
}

// touched reports whether ev may have changed what u shows.
func (u uri) touched(ev task.Event) bool {
	switch u.prefix {
	case listURI:
		return true
	case listPrefix:
		word := task.Status(strings.ToLower(u.arg))
		// A transition may have taken the task out of any list: the event does not say out of which.
		moved := ev.Type != task.EventProgress && ev.Type != task.EventCheckpoint
		return word.Valid() && (moved || ev.Task == nil || ev.Task.Status == word)
	}
	var number uint64
	if ev.Task != nil {
		number = ev.Task.Number
	}
	return matchesRef(task.Ref(u.arg), ev.TaskID, number)
}

// matchesRef reports whether ref may name the task with that ID and number.
func matchesRef(ref task.Ref, id task.ID, number uint64) bool {
	word := strings.ToLower(string(ref))
	switch kind, _ := ref.Parse(); kind {
	case task.RefNumber:
		return ref.Number() == number || strings.HasPrefix(string(id), word)
	case task.RefNewest: // which task that is, only the service knows
		return true
	}
	return strings.HasPrefix(string(id), word) || word != "" && strings.HasSuffix(string(id), word)
}
