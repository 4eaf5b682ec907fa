"""The expression language: text in, program out, everything not allowed refused.

The text is never executed as Python. It passes three gates, each bounding the next:

1. a scanner over an ASCII allow-list, with limits on length, nesting, operands and digits, that
   also checks that operands and operators alternate, so that what it lets through is valid;
2. `ast.parse`, which only builds a tree;
3. an allow-list of node types, one handler each, that emits the program.

Each refusal is an ExpressionError with a sentence, the position and the offending name. The same
language has a second compiler, in PL/pgSQL (sql/evaluators/portable/compile_expression.sql): both
give the same programs and the same refusals.
"""

# ruff: noqa: B905 - the replacement needs Python 3.10, and a server may have 3.9

from __future__ import annotations

import ast
import re
import threading
from decimal import Decimal

from ducto_pg.plpython.machine import (
    ADD,
    CEIL,
    CLAMP,
    CONST,
    DIV,
    DUP,
    EQ,
    FLOOR,
    GE,
    GRADUATED,
    GT,
    IN,
    JUMP,
    JUMP_IF_FALSE,
    JUMP_IF_FALSE_KEEP,
    JUMP_IF_TRUE_KEEP,
    LE,
    LOAD,
    LT,
    MAX,
    MIN,
    MOD,
    MUL,
    NE,
    NEG,
    NOT,
    PERCENTILE,
    POP,
    POW,
    ROT3,
    ROUND,
    SUB,
    SWAP,
    TRUNCDIV,
)
from ducto_pg.plpython.names import (
    KEYWORDS,
    MAGNITUDE_LIMIT,
    did_you_mean,
    nearest,
    shorten,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any

LENGTH_LIMIT = 2000
NODE_LIMIT = 200
DEPTH_LIMIT = 32
LITERAL_DIGITS_LIMIT = 40
POWER_LIMIT = 16
_EXPONENT_LIMIT = 100

FUNCTIONS = (
    "ceil",
    "floor",
    "round",
    "min",
    "max",
    "if",
    "tier",
    "clamp",
    "percentile",
    "graduated",
)

# What the scanner writes over `if` where it is called, because Python reserves the word. Names
# of users cannot start with an underscore, so nothing else can mean this.
_IF_FUNCTION = "_f"

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<number>(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9][0-9_]*)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<operator>\*\*|//|<=|>=|==|!=|[-+*/%<>])"
    r"|(?P<bracket>[()\[\],])"
)
_NUMBER = re.compile(
    r"(?P<whole>[0-9]+(?:_[0-9]+)*)?(?:(?P<point>\.)(?P<fraction>[0-9]+(?:_[0-9]+)*)?)?"
    r"(?:[eE](?P<exponent>[+-]?[0-9]+(?:_[0-9]+)*))?"
)
_REFUSED_CHARACTERS = {
    '"': "strings are not allowed",
    "'": "strings are not allowed",
    "=": "'=' is not allowed; compare with '=='",
    ":": "':' is not allowed",
    ".": "attributes are not allowed",
    "{": "braces are not allowed",
    "}": "braces are not allowed",
    "@": "'@' is not allowed",
    "#": "comments are not allowed",
    "\x00": "null characters are not allowed",
}
_CLOSING = {"(": ")", "[": "]"}
_WORD_OR_POINT = re.compile(r"[A-Za-z0-9_.]")
_IN = re.compile(r"[ \t\r\n]+in(?![A-Za-z0-9_])")
_CALL = re.compile(r"[ \t\r\n]*\(")
# What `not` may follow; behind an operator that binds tighter it needs brackets.
_BEFORE_NOT = ("", "(", "[", ",", "and", "or", "not", "if", "else")


class ExpressionError(Exception):
    """An expression was refused. `position` counts characters from 1.

    `known` are the names that an unknown one may have been meant to be; the nearest is looked for
    when it is asked for, because most refusals of a config with many are not shown.
    """

    def __init__(
        self,
        message: str,
        position: int | None = None,
        length: int = 1,
        name: str | None = None,
        known: Collection[str] = (),
    ) -> None:
        super().__init__(message)
        self._sentence = message
        self._known = known
        self.position = position
        self.length = length
        self.name = name

    @property
    def suggestion(self) -> str | None:
        """The known name that is nearest to the unknown one."""
        return nearest(self.name or "", self._known) if self._known else None

    @property
    def message(self) -> str:
        """What is wrong, with the suggestion."""
        return self._sentence + did_you_mean(self.suggestion)

    def __str__(self) -> str:
        return self.message


# Python 3.11 counts the depth of trees per process: threads that parse at once get a SystemError.
PARSING = threading.Lock()


def compile_expression(text: str, metric_names: Collection[str]) -> dict[str, Any]:
    """Compile an expression into a program (see docs/portable-programs.md), or refuse it."""
    source = _Scanner(text).scan()
    # The brackets allow leading spaces, and make a column of the tree a position in the text.
    try:
        with PARSING:
            tree = ast.parse(f"({source})", mode="eval")
    except SyntaxError as error:
        position = error.offset - 1 if error.offset and 1 < error.offset <= len(text) + 1 else None
        raise ExpressionError("this is not valid here", position) from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError("the expression is too deeply nested") from None
    compiler = _Compiler(source, metric_names)
    compiler.emit(tree.body, 1)
    return {
        "code": compiler.code,
        "constants": list(compiler.constants),
        "names": list(compiler.names),
    }


def positional_literal(token: str) -> str:
    """A literal's exact value in positional notation, its digits behind the point kept."""
    match = _NUMBER.fullmatch(token)
    if match is None:
        raise ExpressionError(f"{shorten(token)} is not a number")
    whole = (match["whole"] or "").replace("_", "")
    fraction = (match["fraction"] or "").replace("_", "")
    if not match["point"] and not match["exponent"] and len(whole) > 1 and whole[0] == "0":
        raise ExpressionError(f"{shorten(token)} has a leading zero")
    exponent_text = (match["exponent"] or "0").replace("_", "")
    exponent = int(exponent_text) if len(exponent_text) <= 5 else _EXPONENT_LIMIT + 1
    if abs(exponent) > _EXPONENT_LIMIT or len(whole) + len(fraction) > LENGTH_LIMIT:
        raise ExpressionError(f"the number {shorten(token)} is out of range")
    digits, point = whole + fraction, len(whole) + exponent
    if point < 0:
        digits, point = "0" * -point + digits, 0
    whole, fraction = digits[:point].ljust(point, "0").lstrip("0"), digits[point:]
    if len(whole) + len(fraction) > LITERAL_DIGITS_LIMIT:
        raise ExpressionError(
            f"the number {shorten(token)} has more than {LITERAL_DIGITS_LIMIT} digits"
        )
    if int(whole or "0") > MAGNITUDE_LIMIT or (
        int(whole or "0") == MAGNITUDE_LIMIT and fraction.strip("0")
    ):
        raise ExpressionError(f"the number {shorten(token)} is beyond 10^26")
    return f"{whole or '0'}.{fraction}" if fraction else whole or "0"


class _Scanner:
    """The first gate: allowed characters, limits, and operands between operators.

    `brackets` holds the open ones: character, position, and whether an `X if c` inside it still
    waits for its `else`.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.output: list[str] = []
        self.brackets: list[list[Any]] = [["", 0, False]]
        self.operand_next = True
        self.previous = ""
        self.prefixes = 0
        self.operands = 0

    def scan(self) -> str:
        text = self.text
        if len(text) > LENGTH_LIMIT:
            raise ExpressionError(f"the expression has more than {LENGTH_LIMIT} characters")
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._refused_character(position)
            token = match[0]
            if match.lastgroup == "space":
                self.output.append(" " * len(token))
            else:
                getattr(self, f"_{match.lastgroup}")(token, position + 1)
                self.previous = token
            position = match.end()
        if self.operand_next:
            what = "ends where a value is expected" if self.previous else "is empty"
            raise ExpressionError(f"the expression {what}", len(text) or None)
        self._close_conditionals(len(text))
        if len(self.brackets) > 1:
            opened, where, _ = self.brackets[-1]
            raise ExpressionError(f"'{opened}' is never closed", where)
        return "".join(self.output)

    def _refused_character(self, position: int) -> ExpressionError:
        character = self.text[position]
        message = _REFUSED_CHARACTERS.get(character)
        if message is None and " " < character <= "~":
            message = f"the character '{character}' is not allowed"
        elif message is None:
            message = f"the character U+{ord(character):04X} is not allowed; only ASCII is"
        return ExpressionError(message, position + 1, name=character)

    def _number(self, token: str, position: int) -> None:
        end = position - 1 + len(token)
        if _WORD_OR_POINT.match(self.text, end):
            raise ExpressionError(
                f"'{shorten(self.text[position - 1 : end + 8])}' is not a decimal number",
                position,
                len(token) + 1,
            )
        try:
            positional_literal(token)
        except ExpressionError as error:
            raise ExpressionError(str(error), position, len(token)) from None
        self._operand(token, position)
        self.output.append(token)

    def _name(self, token: str, position: int) -> None:
        if token in ("and", "or", "in", "else") or (token == "if" and not self.operand_next):
            self._infix(token, position)
            self._conditional(token, position)
        elif token == "not" and self.operand_next:
            if self.previous not in _BEFORE_NOT:
                raise ExpressionError("'not' needs brackets here: (not x)", position, 3)
            self._prefix(token, position)
        elif token == "not":
            if _IN.match(self.text, position + 2) is None:
                raise ExpressionError("an operator is expected before 'not'", position, 3)
        elif token == "if":
            if _CALL.match(self.text, position + 1) is None:
                raise ExpressionError("a value is expected before 'if'", position, 2)
            self._operand(token, position)
            token = _IF_FUNCTION
        elif token in KEYWORDS:
            raise ExpressionError(f"'{token}' is not allowed", position, len(token), name=token)
        elif token.startswith("_"):
            raise ExpressionError(
                f"unknown name '{shorten(token)}'", position, len(token), name=token
            )
        else:
            self._operand(token, position)
        self.output.append(token)

    def _operator(self, token: str, position: int) -> None:
        if token in "+-" and self.operand_next:
            self._prefix(token, position)
        elif token in ("*", "**") and self.operand_next and self.previous in ("(", "[", ",", ""):
            raise ExpressionError("starred values are not allowed", position, len(token))
        else:
            self._infix(token, position)
        self.output.append(token)

    def _bracket(self, token: str, position: int) -> None:
        if token in _CLOSING:
            self._open(token, position)
        elif token == ",":
            if self.operand_next:
                raise ExpressionError("a value is expected before ','", position)
            if len(self.brackets) == 1:
                raise ExpressionError("a comma is only allowed inside of brackets", position)
            self._close_conditionals(position)
            self.operand_next = True
        else:
            opened = self.brackets[-1][0]
            if _CLOSING.get(opened) != token:
                raise ExpressionError(f"'{token}' closes nothing", position)
            if self.operand_next and self.previous not in ("(", "[", ","):
                raise ExpressionError(f"a value is expected before '{token}'", position)
            self._close_conditionals(position)
            self.brackets.pop()
            self.operand_next = False
        self.prefixes = 0
        self.output.append(token)

    def _open(self, token: str, position: int) -> None:
        if len(self.brackets) > DEPTH_LIMIT:
            raise ExpressionError(
                f"the expression is nested more than {DEPTH_LIMIT} deep", position
            )
        if not self.operand_next:
            if token == "[":
                raise ExpressionError("subscripts are not allowed", position)
            if not self.previous[0].isalpha():
                raise ExpressionError("an operator is expected before '('", position)
        self.brackets.append([token, position, False])
        self.operand_next = True

    def _operand(self, token: str, position: int) -> None:
        if not self.operand_next:
            raise ExpressionError(
                f"an operator is expected before '{shorten(token)}'", position, len(token)
            )
        self.operands += 1
        if self.operands > NODE_LIMIT:
            raise ExpressionError(f"the expression has more than {NODE_LIMIT} parts", position)
        self.operand_next = False
        self.prefixes = 0

    def _infix(self, token: str, position: int) -> None:
        if self.operand_next:
            raise ExpressionError(f"a value is expected before '{token}'", position, len(token))
        self.operand_next = True
        self.prefixes = 0

    def _prefix(self, token: str, position: int) -> None:
        self.prefixes += 1
        if self.prefixes > DEPTH_LIMIT:
            raise ExpressionError(
                f"more than {DEPTH_LIMIT} signs or 'not' in a row", position, len(token)
            )

    def _conditional(self, token: str, position: int) -> None:
        if token == "if":
            if self.brackets[-1][2]:
                raise ExpressionError("a condition with an 'if' needs brackets", position, 2)
            self.brackets[-1][2] = True
        elif token == "else":
            if not self.brackets[-1][2]:
                raise ExpressionError("'else' without 'if'", position, 4)
            self.brackets[-1][2] = False

    def _close_conditionals(self, position: int) -> None:
        if self.brackets[-1][2]:
            raise ExpressionError("'if' without 'else'", position)


class _Compiler:
    """The third gate: walks the allowed nodes and emits instructions."""

    def __init__(self, source: str, metric_names: Collection[str]) -> None:
        self.source = source
        self.metric_names = metric_names
        self.code: list[int] = []
        # Ordered sets: value to its number, counted from 1.
        self.constants: dict[str, int] = {}
        self.names: dict[str, int] = {}
        self.nodes = 0

    def emit(self, node: ast.expr, depth: int) -> None:
        self._enter(node, depth)
        handler = _NODES.get(type(node))
        if handler is None:
            kind = type(node).__name__
            described = _NODE_NAMES.get(kind, kind)
            raise self._error(f"{described} not allowed here", node)
        handler(self, node, depth)

    def _enter(self, node: ast.expr, depth: int) -> None:
        self.nodes += 1
        if self.nodes > NODE_LIMIT:
            raise self._error(f"the expression has more than {NODE_LIMIT} parts", node)
        if depth > DEPTH_LIMIT:
            raise self._error(f"the expression is nested more than {DEPTH_LIMIT} deep", node)

    def _error(
        self, message: str, node: ast.expr, name: str | None = None, known: Collection[str] = ()
    ) -> ExpressionError:
        length = max(1, (node.end_col_offset or 0) - node.col_offset)
        return ExpressionError(message, max(1, node.col_offset), length, name, known)

    def op(self, operation: int, argument: int = 0) -> int:
        """Append an instruction and return its number."""
        self.code += (operation, argument)
        return len(self.code) // 2

    def land(self, *jumps: int) -> None:
        """Let jumps emitted earlier arrive at the next instruction."""
        for jump in jumps:
            self.code[2 * jump - 1] = len(self.code) // 2 + 1

    def constant_text(self, node: ast.expr) -> str:
        # One column less than the tree says: the tree was built with a bracket in front.
        return positional_literal(self.source[node.col_offset - 1 : (node.end_col_offset or 0) - 1])

    def constant(self, node: ast.Constant, _depth: int) -> None:
        text = self.constant_text(node)
        self.op(CONST, self.constants.setdefault(text, len(self.constants) + 1))

    def name(self, node: ast.Name, _depth: int) -> None:
        name = node.id
        if name in FUNCTIONS or name == _IF_FUNCTION:
            shown = "if" if name == _IF_FUNCTION else name
            raise self._error(f"'{shown}' is a function: write {shown}(...)", node, shown)
        if name not in self.metric_names:
            known = (*self.metric_names, *FUNCTIONS)
            raise self._error(f"unknown name '{shorten(name)}'", node, name, known)
        self.op(LOAD, self.names.setdefault(name, len(self.names) + 1))

    def unary(self, node: ast.UnaryOp, depth: int) -> None:
        self.emit(node.operand, depth + 1)
        if isinstance(node.op, ast.USub):
            self.op(NEG)
        elif isinstance(node.op, ast.Not):
            self.op(NOT)
        elif not isinstance(node.op, ast.UAdd):
            raise self._error("this operator is not allowed", node)

    def binary(self, node: ast.BinOp, depth: int) -> None:
        """A chain `a + b + c` is one level deep, however long: it nests nothing."""
        chain = [node]
        while isinstance(chain[-1].left, ast.BinOp):
            chain.append(chain[-1].left)
            self._enter(chain[-1], depth)
        self.emit(chain[-1].left, depth + 1)
        for link in reversed(chain):
            if isinstance(link.op, ast.Pow):
                self.op(POW, self._exponent(link.right))
                continue
            operation = _BINARY.get(type(link.op))
            if operation is None:
                raise self._error("this operator is not allowed", link)
            self.emit(link.right, depth + 1)
            self.op(operation)

    def _exponent(self, node: ast.expr) -> int:
        text = self.constant_text(node) if isinstance(node, ast.Constant) else ""
        if not text.isdigit() or int(text) > POWER_LIMIT:
            raise self._error(
                f"the exponent of ** must be a whole number from 0 to {POWER_LIMIT}", node
            )
        self._enter(node, 1)
        return int(text)

    def boolean(self, node: ast.BoolOp, depth: int) -> None:
        jump = JUMP_IF_FALSE_KEEP if isinstance(node.op, ast.And) else JUMP_IF_TRUE_KEEP
        jumps = []
        for value in node.values[:-1]:
            self.emit(value, depth + 1)
            jumps.append(self.op(jump))
        self.emit(node.values[-1], depth + 1)
        self.land(*jumps)

    def compare(self, node: ast.Compare, depth: int) -> None:
        """`a < b < c` evaluates b once, and c only if a < b."""
        self.emit(node.left, depth + 1)
        jumps = []
        for operator, right in zip(node.ops[:-1], node.comparators):
            if isinstance(operator, (ast.In, ast.NotIn)):
                raise self._error("'in' must come last in a chain of comparisons", right)
            self.emit(right, depth + 1)
            self.op(DUP)
            self.op(ROT3)
            self._comparison(operator, node)
            jumps.append(self.op(JUMP_IF_FALSE_KEEP))
        last = node.comparators[-1]
        if isinstance(node.ops[-1], (ast.In, ast.NotIn)):
            self._membership(node.ops[-1], last, depth)
        else:
            self.emit(last, depth + 1)
            self._comparison(node.ops[-1], node)
        if jumps:
            end = self.op(JUMP)
            self.land(*jumps)
            self.op(SWAP)
            self.op(POP)
            self.land(end)

    def _comparison(self, operator: ast.cmpop, node: ast.Compare) -> None:
        operation = _COMPARISONS.get(type(operator))
        if operation is None:
            raise self._error("this comparison is not allowed", node)
        self.op(operation)

    def _membership(self, operator: ast.cmpop, members: ast.expr, depth: int) -> None:
        if not isinstance(members, (ast.Tuple, ast.List)) or not members.elts:
            raise self._error("'in' needs a list of values: x in (1, 2)", members)
        self._enter(members, depth + 1)
        for member in members.elts:
            self.emit(member, depth + 2)
        self.op(IN, len(members.elts))
        if isinstance(operator, ast.NotIn):
            self.op(NOT)

    def conditional(self, node: ast.IfExp, depth: int) -> None:
        self.branch(node.test, node.body, node.orelse, depth)

    def branch(self, test: ast.expr, yes: ast.expr, no: ast.expr, depth: int) -> None:
        self.emit(test, depth + 1)
        otherwise = self.op(JUMP_IF_FALSE)
        self.emit(yes, depth + 1)
        end = self.op(JUMP)
        self.land(otherwise)
        self.emit(no, depth + 1)
        self.land(end)

    def call(self, node: ast.Call, depth: int) -> None:
        if not isinstance(node.func, ast.Name):
            raise self._error("only the functions of the language can be called", node.func)
        name = "if" if node.func.id == _IF_FUNCTION else node.func.id
        rule = _CALLS.get(name)
        if rule is None:
            self._refuse_call(name, node.func)
        else:
            if node.keywords:
                raise self._error("keyword arguments are not allowed", node)
            usage, accepts, emitter = rule
            if not accepts(len(node.args)):
                raise self._error(
                    f"{name}() does not take {len(node.args)} arguments: {usage}", node, name
                )
            emitter(self, node.args, depth)

    def _refuse_call(self, name: str, node: ast.Name) -> None:
        if name in self.metric_names:
            raise self._error(f"'{name}' is a metric, not a function", node, name)
        raise self._error(f"unknown function '{shorten(name)}'", node, name, FUNCTIONS)

    def arguments(self, values: list[ast.expr], depth: int) -> None:
        for value in values:
            self.emit(value, depth + 1)

    def tier(self, values: list[ast.expr], depth: int) -> None:
        """Each threshold is tried in turn; only the rate of the first above is evaluated."""
        self.emit(values[0], depth + 1)
        bands, has_default = values[1:], len(values) % 2 == 0
        ends = []
        last = len(bands) - (1 if has_default else 2)
        for index in range(0, last, 2):
            self.op(DUP)
            self.emit(bands[index], depth + 1)
            self.op(LT)
            following = self.op(JUMP_IF_FALSE)
            self.op(POP)
            self.emit(bands[index + 1], depth + 1)
            ends.append(self.op(JUMP))
            self.land(following)
        if not has_default:
            # The last rate holds on both sides of the last threshold: evaluating the threshold
            # matters only if that can fail.
            if not isinstance(bands[last], (ast.Constant, ast.Name)):
                self.emit(bands[last], depth + 1)
                self.op(POP)
            else:
                self._check_unused(bands[last], depth)
        self.op(POP)
        self.emit(bands[-1], depth + 1)
        self.land(*ends)

    def _check_unused(self, node: ast.expr, depth: int) -> None:
        """Apply the rules to a node whose value is not needed."""
        kept = len(self.code), dict(self.constants), dict(self.names)
        self.emit(node, depth + 1)
        del self.code[kept[0] :]
        self.constants, self.names = kept[1], kept[2]

    def graduated(self, values: list[ast.expr], depth: int) -> None:
        literals = [_literal(self, value) for value in values[1:-1:2]]
        for left, right, node in zip(literals, literals[1:], values[3:-1:2]):
            if left is not None and right is not None and left >= right:
                raise self._error("the thresholds of graduated() must ascend", node)
        self.arguments(values, depth)
        self.op(GRADUATED, len(values))


def _literal(compiler: _Compiler, node: ast.expr) -> Decimal | None:
    """The value of a literal, signed or not; None for anything else."""
    if isinstance(node, ast.Constant):
        return Decimal(compiler.constant_text(node))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        value = _literal(compiler, node.operand)
        if value is not None and isinstance(node.op, ast.USub):
            return value.copy_negate()
        return value
    return None


def _plain(operation: int) -> Callable[[_Compiler, list[ast.expr], int], None]:
    """A function whose arguments are all evaluated: `operation` takes no argument."""

    def emitter(compiler: _Compiler, values: list[ast.expr], depth: int) -> None:
        compiler.arguments(values, depth)
        compiler.op(operation)

    return emitter


def _counted(operation: int) -> Callable[[_Compiler, list[ast.expr], int], None]:
    """A function whose arguments are all evaluated: `operation` takes their number."""

    def emitter(compiler: _Compiler, values: list[ast.expr], depth: int) -> None:
        compiler.arguments(values, depth)
        compiler.op(operation, len(values))

    return emitter


def _round_call(compiler: _Compiler, values: list[ast.expr], depth: int) -> None:
    compiler.arguments(values, depth)
    if len(values) == 1:
        compiler.op(CONST, compiler.constants.setdefault("0", len(compiler.constants) + 1))
    compiler.op(ROUND)


def _if_call(compiler: _Compiler, values: list[ast.expr], depth: int) -> None:
    compiler.branch(values[0], values[1], values[2], depth)


_CALLS: dict[str, tuple[str, Callable[[int], bool], Callable[..., None]]] = {
    "ceil": ("ceil(x)", lambda count: count == 1, _plain(CEIL)),
    "floor": ("floor(x)", lambda count: count == 1, _plain(FLOOR)),
    "round": ("round(x) or round(x, digits)", lambda count: count in (1, 2), _round_call),
    "min": ("min(x, ...)", lambda count: count >= 1, _counted(MIN)),
    "max": ("max(x, ...)", lambda count: count >= 1, _counted(MAX)),
    "if": ("if(condition, then, otherwise)", lambda count: count == 3, _if_call),
    "tier": (
        "tier(value, threshold, rate, ...[, default])",
        lambda count: count >= 3,
        _Compiler.tier,
    ),
    "clamp": ("clamp(x, low, high)", lambda count: count == 3, _plain(CLAMP)),
    "percentile": ("percentile(p, x, ...)", lambda count: count >= 2, _counted(PERCENTILE)),
    "graduated": (
        "graduated(value, threshold, rate, ..., last rate)",
        lambda count: count >= 4 and count % 2 == 0,
        _Compiler.graduated,
    ),
}

_NODES: dict[type[ast.AST], Callable[..., None]] = {
    ast.Constant: _Compiler.constant,
    ast.Name: _Compiler.name,
    ast.UnaryOp: _Compiler.unary,
    ast.BinOp: _Compiler.binary,
    ast.BoolOp: _Compiler.boolean,
    ast.Compare: _Compiler.compare,
    ast.IfExp: _Compiler.conditional,
    ast.Call: _Compiler.call,
}
_NODE_NAMES = {
    "Tuple": "a list of values is",
    "List": "a list of values is",
    "Attribute": "an attribute is",
    "Subscript": "a subscript is",
    "Starred": "a starred value is",
}
_BINARY: dict[type[ast.operator], int] = {
    ast.Add: ADD,
    ast.Sub: SUB,
    ast.Mult: MUL,
    ast.Div: DIV,
    ast.FloorDiv: TRUNCDIV,
    ast.Mod: MOD,
}
_COMPARISONS: dict[type[ast.cmpop], int] = {
    ast.Lt: LT,
    ast.LtE: LE,
    ast.Eq: EQ,
    ast.NotEq: NE,
    ast.GtE: GE,
    ast.Gt: GT,
}
