package mcpserver

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"durable/ipc/task"
)

const (
	// updatesPerSecond bounds the notifications for one URI. The last one is never left out.
	updatesPerSecond = 4
	// openWait is how long a subscribe waits for the event stream: a change right after the answer
	// must not be missed. With no daemon up it is not waited longer than that.
	openWait = 2 * time.Second
	// minRedial and maxRedial bound the wait for a daemon that is away. A tool call cuts it short.
	minRedial = 250 * time.Millisecond
	maxRedial = 5 * time.Second
)

// hub turns the event stream of the service into notifications for all sessions: resources/updated for
// what they subscribed to, a log line when a task that they started ends. The stream is open exactly
// while there is such interest.
type hub struct {
	svc task.Service
	mcp *mcp.Server
	log *slog.Logger
	wg  sync.WaitGroup

	// kindsChanged, if set, is called when the kinds may have changed, away when nobody would tell of that any more.
	// They never change.
	kindsChanged func(context.Context)
	away         func()

	// sending is held while endings are sent; it is taken before mu.
	sending sync.Mutex

	mu sync.Mutex
	// subs: who subscribed to which URI. started: whose task it is. watched: sessions whose end is
	// awaited, because the SDK does not tell of it.
	subs    map[string]map[*mcp.ServerSession]bool
	started map[task.ID]*mcp.ServerSession
	watched map[*mcp.ServerSession]bool
	// lists: sessions that have a list of tools.
	lists map[*mcp.ServerSession]bool
	// unsent: what a session has to be told of its tasks' ends.
	unsent map[*mcp.ServerSession][]ending
	// feed is the running stream, nil while there is no interest.
	feed *feed
	// closed: nothing is begun any more.
	closed bool
}

// feed is one life of the event stream, over any number of connections.
type feed struct {
	cancel context.CancelFunc
	// tried is closed when the stream was opened, or could not be, for the first time.
	tried chan struct{}
	// redial asks for an attempt now.
	redial chan struct{}
	once   sync.Once
}

func newHub(svc task.Service, server *mcp.Server, log *slog.Logger) *hub {
	return &hub{
		svc: svc, mcp: server, log: log,
		subs:    map[string]map[*mcp.ServerSession]bool{},
		started: map[task.ID]*mcp.ServerSession{},
		watched: map[*mcp.ServerSession]bool{},
		lists:   map[*mcp.ServerSession]bool{},
		unsent:  map[*mcp.ServerSession][]ending{},
	}
}

// subscribe notes that ss wants to hear of uri and returns once changes are not missed any more, or
// after openWait.
func (h *hub) subscribe(ctx context.Context, ss *mcp.ServerSession, uri string) {
	h.mu.Lock()
	if h.subs[uri] == nil {
		h.subs[uri] = map[*mcp.ServerSession]bool{}
	}
	h.subs[uri][ss] = true
	f := h.interestLocked(ss)
	h.mu.Unlock()
	if f != nil {
		f.await(ctx)
	}
}

// subscribe is the SDK's handler. It refuses what will never change. When it returns, a change makes it
// to the session: one that happens before the answer is out needs no notification.
func (s *Server) subscribe(ctx context.Context, req *mcp.SubscribeRequest) error {
	if _, ok := parseURI(req.Params.URI); !ok {
		return mcp.ResourceNotFoundError(req.Params.URI)
	}
	s.hub.subscribe(ctx, req.Session, req.Params.URI)
	return nil
}

func (s *Server) unsubscribe(_ context.Context, req *mcp.UnsubscribeRequest) error {
	s.hub.unsubscribe(req.Session, req.Params.URI)
	return nil
}

func (h *hub) unsubscribe(ss *mcp.ServerSession, uri string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.removeLocked(ss, uri)
	h.settleLocked()
}

// follow has ss told when the task ends, unless the session ends before.
func (h *hub) follow(ss *mcp.ServerSession, id task.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.started[id] = ss
	f := h.interestLocked(ss)
	if f == nil {
		return
	}
	// The task may have ended before the stream was open. The start tool does not wait for that.
	h.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*openWait)
		defer cancel()
		f.await(ctx)
		h.checkEnded(ctx, id)
	})
}

// listed notes that ss has a list of tools, which changes with the kinds.
func (h *hub) listed(ss *mcp.ServerSession) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.lists[ss] {
		h.lists[ss] = true
		h.interestLocked(ss)
	}
}

// poke says that the daemon has just answered: a feed that waits for it tries again at once.
func (h *hub) poke() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pokeLocked()
}

// pokeLocked is poke with h.mu held.
func (h *hub) pokeLocked() {
	if h.feed != nil {
		select {
		case h.feed.redial <- struct{}{}:
		default:
		}
	}
}

// interestLocked makes sure that the feed runs and that the end of ss is noticed. It returns nil when the hub is
// closed: a call may outlast its session. h.mu is held.
func (h *hub) interestLocked(ss *mcp.ServerSession) *feed {
	if h.closed {
		return nil
	}
	if !h.watched[ss] {
		h.watched[ss] = true
		h.wg.Go(func() {
			_ = ss.Wait()
			h.forget(ss)
		})
	}
	if h.feed == nil {
		ctx, cancel := context.WithCancel(context.Background())
		f := &feed{cancel: cancel, tried: make(chan struct{}), redial: make(chan struct{}, 1)}
		h.feed = f
		h.wg.Go(func() { h.run(ctx, f) })
	} else if len(h.subs)+len(h.started) == 1 { // until now nobody was in a hurry
		h.pokeLocked()
	}
	return h.feed
}

// urgent reports whether somebody waits for what the stream brings. For a list of tools alone a daemon that is away
// is not looked for: the next call finds it, and an idle session costs nothing.
func (h *hub) urgent() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs) > 0 || len(h.started) > 0
}

// settleLocked ends the feed when nobody is interested any more. h.mu is held.
func (h *hub) settleLocked() {
	if h.feed != nil && len(h.subs) == 0 && len(h.started) == 0 && len(h.lists) == 0 {
		h.feed.cancel()
		h.feed = nil
	}
}

func (h *hub) removeLocked(ss *mcp.ServerSession, uri string) {
	delete(h.subs[uri], ss)
	if len(h.subs[uri]) == 0 {
		delete(h.subs, uri)
	}
}

func (h *hub) forget(ss *mcp.ServerSession) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for uri := range h.subs {
		h.removeLocked(ss, uri)
	}
	for id, owner := range h.started {
		if owner == ss {
			delete(h.started, id)
		}
	}
	delete(h.watched, ss)
	delete(h.lists, ss)
	delete(h.unsent, ss)
	h.settleLocked()
}

// close ends the feed and waits. The sessions have ended before.
func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	if h.feed != nil {
		h.feed.cancel()
		h.feed = nil
	}
	h.mu.Unlock()
	h.wg.Wait()
}

func (f *feed) opened() { f.once.Do(func() { close(f.tried) }) }

func (f *feed) await(ctx context.Context) {
	t := time.NewTimer(openWait)
	defer t.Stop()
	select {
	case <-f.tried:
	case <-t.C:
	case <-ctx.Done():
	}
}

// run keeps the stream open until ctx is done. What was missed while it was not is made up for: from
// the last cursor where there is one, else by telling every subscriber that something may have changed.
func (h *hub) run(ctx context.Context, f *feed) {
	defer f.opened()
	p := newPacer(h)
	cursor, missed, wait := task.Cursor(""), false, minRedial
	for ctx.Err() == nil {
		stream, err := h.svc.Events(ctx, task.EventQuery{After: cursor, Follow: true})
		f.opened()
		if err == nil {
			wait = minRedial
			h.resync(ctx, p, missed)
			missed = false
			err = h.pump(ctx, stream, p, &cursor)
			if h.away != nil {
				h.away()
			}
		}
		if ctx.Err() != nil {
			return
		}
		if cursor != "" && errors.Is(err, task.OutOfRange) {
			cursor, missed = "", true
			continue
		}
		missed = missed || cursor == ""
		h.log.Debug("event stream ended", "error", err, "retry_in", wait)
		var again <-chan time.Time
		if h.urgent() {
			again = time.After(wait)
		}
		select {
		case <-ctx.Done():
		case <-f.redial:
		case <-again:
		}
		wait = min(2*wait, maxRedial)
	}
}

// pump hands the events of one stream on until it breaks or ctx is done.
func (h *hub) pump(ctx context.Context, stream task.EventStream, p *pacer, cursor *task.Cursor) error {
	events, failed := make(chan task.Event), make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			ev, err := stream.Next()
			if err != nil {
				failed <- err
				return
			}
			select {
			case events <- ev:
			case <-ctx.Done():
				return
			}
		}
	})
	defer wg.Wait()
	defer func() { _ = stream.Close() }()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return err
		case <-p.timer.C:
			p.due(ctx, time.Now())
		case ev := <-events:
			if ev.Cursor != "" {
				*cursor = ev.Cursor
			}
			h.event(ctx, ev, p)
		}
	}
}

func (h *hub) event(ctx context.Context, ev task.Event, p *pacer) {
	if ev.Type == task.EventKinds && h.kindsChanged != nil {
		h.kindsChanged(ctx)
	}
	if ev.TaskID == "" {
		return
	}
	for _, uri := range h.uris() {
		if u, ok := parseURI(uri); ok && u.touched(ev) {
			p.changed(ctx, uri, time.Now())
		}
	}
	if ev.Type == task.EventRemoved || ev.Task != nil && ev.Task.Status.Terminal() {
		h.checkEnded(ctx, ev.TaskID)
	}
}

// resync is called when the stream is open again: tasks may have ended while the daemon could not be
// asked how. If events were missed, everybody is told that something may have changed.
func (h *hub) resync(ctx context.Context, p *pacer, missed bool) {
	if h.kindsChanged != nil {
		h.kindsChanged(ctx)
	}
	for _, uri := range h.uris() {
		if missed {
			p.changed(ctx, uri, time.Now())
		}
	}
	h.mu.Lock()
	ids := sortedKeys(h.started)
	h.mu.Unlock()
	for _, id := range ids {
		h.checkEnded(ctx, id)
	}
}

func (h *hub) uris() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return sortedKeys(h.subs)
}

// checkEnded sends the last log line of a started task if it has ended, once.
func (h *hub) checkEnded(ctx context.Context, id task.ID) {
	h.mu.Lock()
	ss := h.started[id]
	h.mu.Unlock()
	if ss == nil {
		return
	}
	t, err := h.svc.Get(ctx, id.Ref())
	if err != nil && !errors.Is(err, task.NotFound) || err == nil && !t.Status.Terminal() {
		return
	}
	h.mu.Lock()
	mine := h.started[id] == ss
	delete(h.started, id)
	h.settleLocked()
	h.mu.Unlock()
	if level, text := epilogue(t); mine && err == nil && text != "" {
		h.tellEnding(ctx, ss, ending{level, text})
	}
}
