package harness

import (
	"bytes"
	"debug/elf"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// What must never be in a server's output: a sanitizer's report. An AddressSanitizer ends the
// process, the others go on, so that only the log tells.
// One a line, as clients/lib.sh looks for them too.
//
//go:embed report_marks.txt
var reportMarks string

const reportBytesMax = 8000

// health follows one process from its start to its end: what it wrote that no server should, and
// whether it ended without being asked to.
type health struct {
	label, logPath string

	mutex    sync.Mutex
	offset   int64    // of the log: what comes later has not been looked at
	asked    bool     // to end, by Kill or Stop, or allowed to
	ended    bool     // the log is complete
	problems []string // not yet reported
}

var (
	allMutex sync.Mutex
	all      []*health // of every process launched, until it has ended and been reported
)

func follow(label, logPath string) (*health, error) {
	info, err := os.Stat(logPath)
	if err != nil {
		return nil, err
	}
	h := &health{label: label, logPath: logPath, offset: info.Size()}
	allMutex.Lock()
	defer allMutex.Unlock()
	all = append(all, h)
	return h, nil
}

func (h *health) expectEnd() {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.asked = true
}

// processEnded looks at the whole rest of the log, which may be deleted afterwards.
func (h *health) processEnded(how error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.ended = true
	found := h.scan()
	if !h.asked && !found {
		h.problems = append(h.problems, fmt.Sprintf("%s ended unasked: %v; its log ends:\n%s",
			h.label, how, tail(h.logPath, reportBytesMax)))
	}
}

// scan looks at what the log has got since the last time. Under the mutex.
func (h *health) scan() (found bool) {
	file, err := os.Open(h.logPath)
	if err != nil {
		h.problems = append(h.problems, fmt.Sprintf("%s: its log cannot be read: %v", h.label, err))
		return false
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() <= h.offset {
		return false
	}
	text := make([]byte, info.Size()-h.offset)
	n, _ := file.ReadAt(text, h.offset)
	if !h.ended && n > 0 { // a line that is still being written waits for the next time
		if whole := bytes.LastIndexByte(text[:n], '\n') + 1; whole > 0 {
			n = whole
		}
	}
	h.offset += int64(n)
	report := Report(string(text[:n]))
	if report == "" {
		return false
	}
	h.problems = append(h.problems, fmt.Sprintf("%s (%s):\n%s", h.label, h.logPath, report))
	return true
}

// Report is a sanitizer's report in the text, from its first line on; "" if there is none.
func Report(text string) string {
	first := -1
	for _, mark := range strings.Split(strings.TrimSuffix(reportMarks, "\n"), "\n") {
		if at := strings.Index(text, mark); at >= 0 && (first < 0 || at < first) {
			first = at
		}
	}
	if first < 0 {
		return ""
	}
	report := text[strings.LastIndexByte(text[:first], '\n')+1:]
	return report[:min(len(report), reportBytesMax)]
}

func tail(path string, bytes int) string {
	text, _ := os.ReadFile(path)
	return string(text[max(0, len(text)-bytes):])
}

// problems takes what has come up since the last call, in any server that this process started.
func problems() (found []string) {
	allMutex.Lock()
	defer allMutex.Unlock()
	kept := all[:0]
	for _, h := range all {
		h.mutex.Lock()
		if !h.ended {
			h.scan()
			kept = append(kept, h)
		}
		found = append(found, h.problems...)
		h.problems = nil
		h.mutex.Unlock()
	}
	all = kept
	return found
}

// Guard fails the test if, while it ran, a server printed a sanitizer's report or ended unasked.
// Call it first, so that it looks after all other cleanups. What no guard saw fails Main.
func Guard(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		t.Helper()
		for _, p := range problems() {
			t.Error(p)
		}
	})
}

// Main is what a TestMain ends with: Exit(run()), and 1 if a server had a problem that no test's
// guard has reported, as a leak found when it stopped.
func Main(run func() int) {
	code := run()
	for _, p := range problems() {
		fmt.Fprintln(os.Stderr, "FAIL:", p)
		code = 1
	}
	os.Exit(code)
}

// Sanitizer is what the program was built with: "address", "thread", "undefined" or "". It is read
// from the symbols that the sanitizers' runtimes export.
func (b Binary) Sanitizer() string {
	file, err := elf.Open(b.Path)
	if err != nil {
		return ""
	}
	defer file.Close()
	symbols, _ := file.DynamicSymbols()
	more, _ := file.Symbols()
	name := ""
	for _, s := range append(symbols, more...) {
		switch {
		case s.Name == "__asan_init":
			return "address"
		case s.Name == "__tsan_init":
			return "thread"
		case strings.HasPrefix(s.Name, "__ubsan_handle_"):
			name = "undefined" // the others' runtimes have these too
		}
	}
	return name
}

// sanitizerEnvironment makes reports complete: all of them, and none that our list of reasons drops.
func sanitizerEnvironment() []string {
	prefer := func(name, ours string) string { return name + "=" + ours + ":" + os.Getenv(name) }
	return []string{
		prefer("TSAN_OPTIONS", "suppressions="+filepath.Join(Root(), "test", "tsan.supp")),
		prefer("UBSAN_OPTIONS", "print_stacktrace=1"),
	}
}
