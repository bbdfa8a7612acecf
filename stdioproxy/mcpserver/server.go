package mcpserver

import (
	"context"
	"log/slog"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"durable/ipc/task"
)

// instructions are what a host puts before its model once, for all tools together.
const instructions = `durable runs long jobs as background tasks that outlive this session, the host and a reboot. ` +
	`A start tool answers at once with a task; tell the user its number and go on, do not poll. ` +
	`"task" here always means such a durable background job. ` +
	`Later, in any session: get_task_status, wait_for_task (at most 25 s), get_task_output, list_tasks.`

// Options says how a Server differs from the default. The zero value is usable.
type Options struct {
	// Quiet answers what must not start a daemon: subscriptions and completion. Nil: the service itself.
	Quiet task.Service
	// Base is the folder that relative paths in arguments are taken from. Empty: they are refused.
	Base string
	// Home stands for a leading ~ in paths. Empty: such paths are refused.
	Home string
	// Kinds, if set, returns the kinds that the daemon had listed last, without asking it: each user-defined one becomes
	// a tool. Nil kinds are not known. It is called when tools are listed, and must be quick.
	Kinds func() []task.KindInfo
	// Legacy offers no protocol version after 2025-11-25.
	Legacy bool
	// OnClient, if set, is told the client's name and version, such as "claude-ai 0.14", when it has
	// introduced itself. It may be called from several goroutines.
	OnClient func(name string)
	// Caller, if set, returns who calls in a session with the client of that name: the service is in our own process, and
	// takes it from the context. Nil: the service knows by itself.
	Caller func(client string) task.Caller
	// Version is what the server calls its own version. Empty: the build's.
	Version string
	// Logger gets what an operator should know. Nil: nothing is logged.
	Logger *slog.Logger
}

// Server is the MCP surface on one service. Its methods may be called from any goroutine.
type Server struct {
	svc   task.Service
	quiet task.Service
	opts  Options
	log   *slog.Logger
	impl  *mcp.Implementation
	caps  *mcp.ServerCapabilities
	mcp   *mcp.Server
	hub   *hub
	// life ends when calls must not wait for anything any more.
	life  context.Context
	hurry context.CancelFunc
	// builtin are the names of our own tools.
	builtin map[string]bool

	kindsMu sync.Mutex
	// kindTools are the tools of user-defined kinds, with what each was made from.
	kindTools map[string]string
	// kindsGone are the names of tools that there were.
	kindsGone map[string]bool
	// kindsTold: the daemon itself has said which kinds there are, and its stream is open: it would tell of a change.
	kindsTold bool
}

// New returns a Server on svc. It calls nothing on svc: a handshake and the lists work while there is
// no daemon. It panics if svc is nil.
func New(svc task.Service, opts Options) *Server {
	if svc == nil {
		panic("mcpserver: nil service")
	}
	if opts.Quiet == nil {
		opts.Quiet = svc
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Version == "" {
		opts.Version = task.Version()
	}
	s := &Server{
		svc: svc, quiet: opts.Quiet, opts: opts, log: opts.Logger,
		builtin: map[string]bool{}, kindTools: map[string]string{}, kindsGone: map[string]bool{},
		impl: &mcp.Implementation{Name: "durable", Title: "MCP Durability Server", Version: opts.Version},
		caps: &mcp.ServerCapabilities{
			Tools:       &mcp.ToolCapabilities{ListChanged: true},
			Resources:   &mcp.ResourceCapabilities{Subscribe: true},
			Completions: &mcp.CompletionCapabilities{},
			//lint:ignore SA1019 deprecated in 2026-07-28; every older client still has it
			Logging: &mcp.LoggingCapabilities{},
		},
	}
	s.life, s.hurry = context.WithCancel(context.Background())
	s.mcp = mcp.NewServer(s.impl, &mcp.ServerOptions{
		Instructions:              instructions,
		Capabilities:              s.caps,
		CompletionHandler:         s.complete,
		SubscribeHandler:          s.subscribe,
		UnsubscribeHandler:        s.unsubscribe,
		SupportedProtocolVersions: s.versions(),
	})
	s.hub = newHub(s.quiet, s.mcp, s.log)
	s.addTools()
	if opts.Kinds != nil {
		s.hub.kindsChanged, s.hub.away = s.askKinds, s.forgetKinds
		s.readKinds()
	}
	s.addResources()
	s.mcp.AddReceivingMiddleware(s.recover, s.introduce, s.identify, s.route)
	return s
}

// versions are the protocol versions on offer, newest first.
func (s *Server) versions() []string {
	var offered []string
	for _, v := range mcp.SupportedProtocolVersions() {
		if !s.opts.Legacy || v < firstModern {
			offered = append(offered, v)
		}
	}
	return offered
}

// Serve runs one session over f and returns when it has ended: f at its end or broken, or ctx done. In
// each case the replies that are still due are written first, within [drainReplies] and
// [drainCancelled]. The end of the input and of ctx are no errors.
func (s *Server) Serve(ctx context.Context, f Framer) error {
	// The SDK's own context must outlive ctx: it would drop the replies that are still due.
	session, err := s.mcp.Connect(context.WithoutCancel(ctx), &transport{framer: f, server: s, stop: ctx.Done()}, nil)
	if err != nil {
		return err
	}
	return session.Wait()
}

// Close ends the event stream and waits for what the Server has running. It is called after the last
// session has ended.
func (s *Server) Close() {
	s.hurry()
	s.hub.close()
}
