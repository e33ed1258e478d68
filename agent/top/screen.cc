// SPDX-License-Identifier: Apache-2.0
#include "agent/top/screen.h"

#include <ncurses.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace corral::top {
namespace {

constexpr int kFew = 1, kMany = 10;
// Of ncurses, by a domain's position; two neighbours in the list never share one.
constexpr short kColours[] = {COLOR_CYAN, COLOR_GREEN, COLOR_YELLOW, COLOR_BLUE, COLOR_MAGENTA};
constexpr short kAlertPair = std::size(kColours) + 1;

// Leaves the terminal as it was, whatever happens.
class Terminal {
 public:
  Terminal() : screen_(newterm(nullptr, stdout, stdin)) {
    if (screen_ == nullptr) return;
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    curs_set(0);
    if (!has_colors()) return;
    start_color();
    use_default_colors();
    for (size_t i = 0; i < std::size(kColours); ++i)
      init_pair(static_cast<short>(i + 1), kColours[i], -1);
    init_pair(kAlertPair, COLOR_RED, -1);
  }
  ~Terminal() {
    if (screen_ == nullptr) return;
    endwin();
    delscreen(screen_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  bool works() const { return screen_ != nullptr; }

 private:
  SCREEN* const screen_;
};

attr_t AttributesOf(const Style& style) {
  attr_t attributes = A_NORMAL;
  if (style.ink == Style::Ink::kBold) attributes |= A_BOLD;
  if (style.ink == Style::Ink::kDim) attributes |= A_DIM;
  if (style.ink == Style::Ink::kReverse) attributes |= A_REVERSE;
  if (style.ink == Style::Ink::kAlert) attributes |= A_BOLD | COLOR_PAIR(kAlertPair);
  if (style.colour >= 0)
    attributes |= COLOR_PAIR(1 + style.colour % static_cast<int>(std::size(kColours)));
  return attributes;
}

void Paint(const Canvas& canvas) {
  for (int row = 0; row < canvas.rows(); ++row) {
    for (int column = 0; column < canvas.columns(); ++column) {
      const Cell& cell = canvas.at(row, column);
      mvaddch(row, column,
              static_cast<chtype>(static_cast<unsigned char>(cell.character)) |
                  AttributesOf(cell.style));
    }
  }
  refresh();
}

Canvas Message(const std::string& text) {
  Canvas canvas(std::max(LINES, 1), std::max(COLS, 1));
  canvas.Put(0, 0, text, {Style::Ink::kAlert});
  canvas.Put(1, 0, "q quits");
  return canvas;
}

std::string Clock() { return absl::FormatTime("%H:%M:%S", absl::Now(), absl::LocalTimeZone()); }

}  // namespace

bool Press(int key, const Page& page, Choice& choice) {
  const auto move = [&](int by) { choice.selected = SelectedAfter(page, choice, by); };
  switch (key) {
    case 'q':
      return false;
    case '?':
      choice.keys = !choice.keys;
      break;
    case ' ':
      choice.paused = !choice.paused;
      break;
    case '\r':
    case '\n':
    case KEY_ENTER:
      // Keeps to what was seen, though the order changes.
      move(0);
      choice.details = !choice.details;
      break;
    case KEY_UP:
    case 'k':
      move(-kFew);
      break;
    case KEY_DOWN:
    case 'j':
      move(kFew);
      break;
    case KEY_PPAGE:
      move(-kMany);
      break;
    case KEY_NPAGE:
      move(kMany);
      break;
    case 'u':
      choice.order = Order::kUse;
      break;
    case 'w':
      choice.order = Order::kWait;
      break;
    case 'f':
      choice.order = Order::kForcedIdle;
      break;
    case 'g':
      choice.order = Order::kGuarantee;
      break;
    case 'n':
      choice.order = Order::kName;
      break;
    default:
      break;
  }
  return true;
}

absl::Status RunScreen(const Look& look, Duration interval) {
  if (isatty(STDOUT_FILENO) == 0 || isatty(STDIN_FILENO) == 0)
    return absl::FailedPreconditionError("this is no terminal; use --once");
  const Terminal terminal;
  if (!terminal.works()) {
    const char* const name = getenv("TERM");
    return absl::FailedPreconditionError(absl::StrCat("no terminal \"", name == nullptr ? "" : name,
                                                      "\" is known; set TERM or use --once"));
  }
  timeout(static_cast<int>(interval / std::chrono::milliseconds(1)));
  Page page;
  Choice choice;
  absl::Status status;
  for (int key = ERR;; key = getch()) {
    if (key != ERR && !Press(key, page, choice)) return absl::OkStatus();
    // A key is answered at once with what is there; it is not time yet for another look.
    if (key == ERR && !choice.paused) {
      absl::StatusOr<Page> seen = look();
      status = seen.status();
      if (seen.ok()) page = *std::move(seen);
    }
    if (!status.ok()) {
      Paint(Message(std::string(status.message())));
    } else if (LINES < kLeastRows || COLS < kLeastColumns) {
      Paint(Message(absl::StrCat("this needs ", kLeastColumns, "x", kLeastRows, " characters")));
    } else {
      Paint(Draw(page, choice, Clock(), LINES, COLS));
    }
  }
}

}  // namespace corral::top
