"""The Geometry Interfaces (W3C): DOMPoint, DOMRect, DOMMatrix. pdf.js wants them to read a text."""

import math

import pytest

# What is evaluated, and what it gives; a list is compared by its numbers.
GIVES = {
    "new DOMMatrix().toFloat64Array()": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
    "new DOMMatrix([1, 2, 3, 4, 5, 6]).toFloat32Array()": [1, 2, 0, 0, 3, 4, 0, 0, 0, 0, 1, 0, 5, 6, 0, 1],
    "Array.from(Array(16).keys(), (i) => new DOMMatrix(Array(16).keys())[`m${(i >> 2) + 1}${i % 4 + 1}`])": list(range(16)),
    "(([m]) => [m.a, m.b, m.c, m.d, m.e, m.f])([new DOMMatrix([1, 2, 3, 4, 5, 6])])": [1, 2, 3, 4, 5, 6],
    "[new DOMMatrix().is2D, new DOMMatrix().isIdentity, new DOMMatrix(Array(16).fill(0)).is2D, new DOMMatrix([1, 0, 0, 1, 0, -0]).isIdentity]": [True, True, False, True],
    # a × b, and b × a
    "new DOMMatrix([1, 2, 3, 4, 5, 6]).multiply({ a: 0, b: 1, c: -1, d: 0, e: 3, f: 3 }).toFloat64Array()": [3, 4, 0, 0, -1, -2, 0, 0, 0, 0, 1, 0, 17, 24, 0, 1],
    "new DOMMatrix([0, 1, -1, 0, 3, 3]).preMultiplySelf(new DOMMatrix([1, 2, 3, 4, 5, 6])).toFloat64Array()": [3, 4, 0, 0, -1, -2, 0, 0, 0, 0, 1, 0, 17, 24, 0, 1],
    "new DOMMatrix([2, 0, 0, 4, 1, 1]).inverse().toFloat64Array()": [0.5, 0, 0, 0, 0, 0.25, 0, 0, 0, 0, 1, 0, -0.5, -0.25, 0, 1],
    "(([m, i]) => [...m.multiply(i).toFloat64Array()].map(Math.round))([new DOMMatrix().rotate(10, 20, 30).translate(1, 2, 3).scale(2, 3, 4), new DOMMatrix().rotate(10, 20, 30).translate(1, 2, 3).scale(2, 3, 4).inverse()])":
        [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
    "(([m]) => [Number.isNaN(m.m11), Number.isNaN(m.m44), m.is2D])([new DOMMatrix([1, 2, 2, 4, 0, 0]).invertSelf()])": [True, True, False],
    "new DOMMatrix().rotate(90).transformPoint({ x: 1, y: 0 }).toJSON()": {"x": 0, "y": 1, "z": 0, "w": 1},
    "new DOMMatrix().rotate(0, 0, 90).transformPoint({ x: 1 }).toJSON()": {"x": 0, "y": 1, "z": 0, "w": 1},
    "new DOMMatrix().rotate(90, 0, 0).transformPoint({ y: 1 }).toJSON()": {"x": 0, "y": 0, "z": 1, "w": 1},
    "new DOMMatrix().rotate(0, 90).transformPoint({ z: 1 }).toJSON()": {"x": 1, "y": 0, "z": 0, "w": 1},
    "new DOMMatrix().rotateAxisAngle(0, 0, 5, 90).transformPoint({ x: 1 }).toJSON()": {"x": 0, "y": 1, "z": 0, "w": 1},
    "new DOMMatrix().rotateAxisAngle(1, 1, 1, 120).transformPoint({ x: 1 }).toJSON()": {"x": 0, "y": 1, "z": 0, "w": 1},
    "new DOMMatrix().rotateAxisAngle(0, 0, 0, 120).isIdentity": True,
    "new DOMMatrix().rotateFromVector(0, 7).transformPoint({ x: 1 }).toJSON()": {"x": 0, "y": 1, "z": 0, "w": 1},
    "[new DOMMatrix().rotate(90).is2D, new DOMMatrix().rotate(90, 0, 0).is2D, new DOMMatrix().rotateAxisAngle(0, 0, 1, 3).is2D, new DOMMatrix().rotateAxisAngle(0, 1, 0, 3).is2D]": [True, False, True, False],
    "new DOMMatrix().scale(2).transformPoint({ x: 1, y: 1, z: 1 }).toJSON()": {"x": 2, "y": 2, "z": 1, "w": 1},
    "new DOMMatrix().scale(2, 3, 4, 1, 1, 1).transformPoint({ x: 1, y: 1, z: 1 }).toJSON()": {"x": 1, "y": 1, "z": 1, "w": 1},
    "new DOMMatrix().scale3d(3, 0, 0, 1).transformPoint({ x: 1, z: 2 }).toJSON()": {"x": 3, "y": 0, "z": 4, "w": 1},
    "new DOMMatrix().scaleNonUniform(2, 5).transformPoint({ x: 1, y: 1 }).toJSON()": {"x": 2, "y": 5, "z": 0, "w": 1},
    "new DOMMatrix().skewX(45).transformPoint({ x: 1, y: 2 }).toJSON()": {"x": 3, "y": 2, "z": 0, "w": 1},
    "new DOMMatrix().skewY(45).transformPoint({ x: 1, y: 2 }).toJSON()": {"x": 1, "y": 3, "z": 0, "w": 1},
    "[new DOMMatrix().flipX().a, new DOMMatrix().flipY().d]": [-1, -1],
    "new DOMMatrix().translate(1, 2, 3).transformPoint({ x: 1, y: 1, z: 1, w: 2 }).toJSON()": {"x": 3, "y": 5, "z": 7, "w": 2},
    "(([m]) => { m.translateSelf(1, 2); m.e += 1; m.m34 = 0; const flat = m.is2D; m.m13 = 1; return [m.e, m.f, flat, m.is2D]; })([new DOMMatrix()])": [2, 2, True, False],
    "(([m]) => { const n = m.translate(1); return [m.e, n.e, n instanceof DOMMatrix]; })([new DOMMatrixReadOnly()])": [0, 1, True],
    "DOMMatrix.fromMatrix({ a: 2, m11: 2, m43: 0, f: 7 }).toJSON().m42": 7,
    "[DOMMatrixReadOnly.fromFloat32Array(new Float32Array([1, 2, 3, 4, 5, 6])).f, DOMMatrix.fromFloat64Array(new Float64Array(16)).is2D, new DOMMatrix(new DOMMatrix([1, 2, 3, 4, 5, 6])).f]": [6, False, 6],
    "DOMMatrix.fromMatrix({ m33: 5 }).is2D": False,
    "[new DOMPoint(1, 2).matrixTransform({ e: 5 }).x, DOMPoint.fromPoint({ y: 3 }).y, Object.keys(new DOMPointReadOnly(1, 2, 3, 4).toJSON()).join()]": [6, 3, "x,y,z,w"],
    "new DOMRect(1, 2, -3, 4).toJSON()": {"x": 1, "y": 2, "width": -3, "height": 4, "top": 2, "right": 1, "bottom": 6, "left": -2},
    "(([r]) => { r.width = 7; return [r.right, DOMRectReadOnly.fromRect({ x: 1, height: -2 }).top, Object.prototype.toString.call(r)]; })([new DOMRect(1)])": [8, -2, "[object DOMRect]"],
    "(([m, p]) => [structuredClone(m).f, structuredClone(m).constructor.name, structuredClone([p])[0].x, structuredClone(p) instanceof DOMPoint])([new DOMMatrix([1, 2, 3, 4, 5, 6]), new DOMPoint(9)])": [6, "DOMMatrix", 9, True],
    "[DOMPoint.length, DOMPoint.prototype instanceof DOMPointReadOnly, DOMMatrix.prototype instanceof DOMMatrixReadOnly, 'setMatrixValue' in DOMMatrix.prototype]": [0, True, True, False],
}  # fmt: skip

REFUSED = ["new DOMMatrix('rotate(1deg)')", "new DOMMatrix([1, 2, 3])", "new DOMMatrix(Array(15).fill(0))", "new DOMMatrix(5)", "new DOMMatrix(null)", "DOMMatrix.fromMatrix({ a: 1, m11: 2 })", "DOMMatrix.fromMatrix({ is2D: true, m13: 1 })",
           "DOMMatrix.fromMatrix(7)", "DOMMatrix.fromFloat32Array([1, 2, 3, 4, 5, 6])", "DOMMatrix.fromFloat64Array(new Float32Array(6))", "DOMMatrix()", "DOMMatrixReadOnly.prototype.translate.call({})", "DOMPoint.prototype.toJSON.call({})",
           "new DOMMatrix([1n, 2, 3, 4, 5, 6])", "new DOMPoint(Symbol())", "(() => { 'use strict'; new DOMPointReadOnly().x = 1; })()", "(() => { 'use strict'; new DOMMatrixReadOnly().a = 1; })()"]  # fmt: skip


def near(a, b):
    if isinstance(b, dict):
        return a.keys() == b.keys() and all(near(a[k], b[k]) for k in b)
    if isinstance(b, list):
        return len(a) == len(b) and all(near(x, y) for x, y in zip(a, b))
    if isinstance(b, (int, float)) and not isinstance(b, bool):
        return not isinstance(a, bool) and math.isclose(a, b, abs_tol=1e-12)
    return a == b


def test_geometry(postern):
    values = postern("const all = []; const show = (v) => ArrayBuffer.isView(v) ? [...v] : v;" + "".join(f"all.push(show({code}));" for code in GIVES) + "__return(all);").value
    wrong = [(code, value) for (code, expected), value in zip(GIVES.items(), values, strict=True) if not near(value, expected)]
    assert wrong == []


def test_what_is_no_geometry(postern):
    told = postern("const all = [];" + "".join(f"try {{ {code}; all.push('none'); }} catch (e) {{ all.push(e.name); }}" for code in REFUSED) + "__return(all);").value
    assert told == ["TypeError"] * len(REFUSED), list(zip(REFUSED, told))


@pytest.mark.parametrize("break_it", ["Array.prototype.map = Array.prototype.every = () => 'broken'; Object.entries = null; Math.hypot = () => 7;", "Object.prototype.a = 5; Array.prototype[Symbol.iterator] = null;"])
def test_a_guest_that_broke_its_own_prototypes_has_an_error_at_most(postern, break_it):
    result = postern(break_it + "try { new DOMMatrix().rotate(3).inverse(); } catch {} __return(1);")
    assert result.json["outcome"] == "succeeded", result.out
