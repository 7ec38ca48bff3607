"""Laws of reading an upload: nothing is guessed, nothing is lost silently, and every refusal says what to
do."""

from __future__ import annotations

import bz2
import csv
import io
import json
import lzma
import pickle
import tarfile
import zipfile
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rnn_core.data.characters import clean
from rnn_core.data.documents import columns, read
from rnn_core.data.encodings import decode
from rnn_core.errors import CorpusError, EncodingError

GERMAN = "Der Müller fährt über die Brücke.\nDie Straße ist schön und grün."
RUSSIAN = "Съешь ещё этих мягких французских булок, да выпей чаю."


def refusal(data: bytes, name: str = "upload.txt", **choices: str) -> str:
    with pytest.raises(CorpusError) as caught:
        read(data, name, **choices)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    return message


# --- bytes that are no text -----------------------------------------------------------------------------------


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return buffer.getvalue()


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, W=np.zeros((3, 3)))
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"), io.BytesIO())
    return buffer.getvalue()


def picture(format: str) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


COMPRESSIBLE = np.random.default_rng(0).integers(0, 60, 20_000, dtype=np.int32).tobytes()

BINARIES = [
    (zipped("a.txt"), "a zip archive"),
    (zipped("[Content_Types].xml", "word/document.xml"), "an Office document"),
    (zipped("archive/data.pkl"), "a PyTorch file"),
    (npz(), "NumPy arrays"),
    (pickle.dumps({"U": [1, 2]}), "a binary file"),
    (b"\x1f\x8b\x08\x00rest", "a gzip archive"),
    (b"%PDF-1.7\n%text", "a PDF document"),
    (picture("PNG"), "a binary file"),
    (picture("JPEG"), "a binary file"),
    (picture("GIF"), "a binary file"),
    (bz2.compress(COMPRESSIBLE), "a binary file"),
    (lzma.compress(COMPRESSIBLE), "a binary file"),
    (b"RIFF\x24\x00\x00\x00WAVE", "a binary file"),
    (b"\x93NUMPY\x01\x00", "a NumPy array"),
    (b"{\\rtf1 hello}", "a rich-text"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "an old Microsoft Office document"),
    (b"SQLite format 3\x00", "a binary file"),
    (b"PAR1\x15\x04" + COMPRESSIBLE[:3000], "a binary file"),
    (b"\x10\x00\x00\x00\x00\x00\x00\x00" + b'{"W":{}}', "a binary file"),
    (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00" + bytes(44), "a binary file"),
    (tarred(), "a binary file"),
    (bytes(range(256)) * 4, "a binary file"),
    (b"text with one NUL \x00 byte and an odd length.", "a binary file"),
    (b"\x01\x02\x03\x04\x05\x06 text", "a binary file"),
]


@pytest.mark.parametrize(("data", "what"), BINARIES, ids=[what for _, what in BINARIES])
@pytest.mark.parametrize("name", ["upload.txt", "upload.csv", "upload.jsonl"])
def test_what_is_no_text_is_refused_by_its_bytes_whatever_its_name(data: bytes, what: str, name: str) -> None:
    assert what in refusal(data, name)


@pytest.mark.parametrize("encoding", ["latin-1", "cp437", "utf-8"])
def test_choosing_an_encoding_does_not_make_an_archive_a_text(encoding: str) -> None:
    assert "a zip archive" in refusal(zipped("a.txt"), encoding=encoding)
    assert "binary" in refusal(bytes(range(1, 32)) * 40, encoding=encoding)


@pytest.mark.parametrize("start", ["PAR1 is a name.", "RIFF raff.", "ID3 is a tag.", "MZ is short.", "BZh? No."])
def test_a_text_that_begins_with_the_letters_of_a_format_is_a_text(start: str) -> None:
    assert read(start.encode(), "a.txt").documents == [start]


def test_an_empty_file_and_white_space_alone_are_refused() -> None:
    assert "empty" in refusal(b"")
    assert "empty" in refusal(b"\xef\xbb\xbf")
    assert "no text" in refusal(b" \n\t\n")


# --- encodings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("text", [GERMAN, RUSSIAN, "plain"])
def test_utf_8_and_anything_with_a_byte_order_mark_is_read_unasked(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-32-be"])
def test_big_endian_with_a_mark_is_read_unasked(encoding: str) -> None:
    assert decode(("\ufeff" + GERMAN).encode(encoding)) == GERMAN


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", [GERMAN, RUSSIAN])
def test_utf_16_and_32_without_a_mark_are_asked_for_with_the_right_one_first(text: str, encoding: str) -> None:
    with pytest.raises(EncodingError, match="without a byte order mark") as caught:
        decode(text.encode(encoding))
    first = caught.value.candidates[0]
    assert first.encoding == encoding
    assert first.preview.startswith(text[:20])
    assert decode(text.encode(encoding), encoding) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        ("吾輩は猫である。名前はまだ無い。", "cp932"),
        ("我能吞下玻璃而不伤身体。", "gb18030"),
        ("Zażółć gęślą jaźń.", "cp1250"),
    ],
)
def test_other_encodings_are_never_guessed_but_previewed(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    with pytest.raises(EncodingError) as caught:
        decode(data)
    previews = {candidate.encoding: candidate.preview for candidate in caught.value.candidates}
    assert text[:15] in previews[encoding]
    assert "line 1" in str(caught.value)
    assert "save the file as UTF-8" in str(caught.value)
    assert decode(data, encoding) == text


def test_candidates_that_read_alike_are_offered_once() -> None:
    with pytest.raises(EncodingError) as caught:
        decode(GERMAN.encode("latin-1"))
    previews = [candidate.preview for candidate in caught.value.candidates]
    assert len(set(previews)) == len(previews)


def test_utf_8_with_a_few_damaged_bytes_can_be_chosen_and_the_damage_is_counted() -> None:
    data = (GERMAN * 20).encode() + b"\xff" + b" end"
    with pytest.raises(EncodingError) as caught:
        read(data, "a.txt")
    assert caught.value.candidates[0].encoding == "utf-8"
    assert all(candidate.preview.endswith("end") for candidate in caught.value.candidates)  # it shows the damage
    found = read(data, "a.txt", encoding="utf-8")
    assert found.documents == [GERMAN * 20 + " end"]
    assert found.dropped["undecodable bytes"] == 1


@pytest.mark.parametrize("before", ["ä" * 9000, "x" + "ä" * 9000, "語" * 9000, "\ud800 " + "ä" * 99])
def test_damage_far_into_a_text_without_spaces_is_asked_about(before: str) -> None:
    with pytest.raises(EncodingError) as caught:
        decode(before.encode("utf-8", errors="surrogatepass") + b"\xff")
    assert caught.value.candidates


def test_a_wrong_choice_of_encoding_is_refused() -> None:
    assert "not written in 'utf-8'" in refusal(RUSSIAN.encode("cp1251"), encoding="utf-8")
    assert "not written in 'ascii'" in refusal(RUSSIAN.encode("cp1251"), encoding="ascii")


@pytest.mark.parametrize("encoding", ["klingon", "zip", "base64", "idna", "undefined", "a\0b", "", "x" * 500])
def test_an_encoding_that_is_none_is_refused(encoding: str) -> None:
    assert "is not an encoding that is known here" in refusal(b"some text", encoding=encoding)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029"), min_size=1))
def test_a_text_without_controls_survives_but_for_what_cannot_be_seen(text: str) -> None:
    dropped: Counter[str] = Counter()
    kept = clean(text, dropped)
    assert len(kept) + sum(dropped.values()) == len(text)
    assert clean(kept, Counter()) == kept


def test_invisible_characters_are_left_out_and_counted_by_kind() -> None:
    text = "Good \u202eevil\u202c, a\x07b and \x9b more words to make it a long enough text for a few marks." * 3
    data = json.dumps(text + "\ud800").encode()
    found = read(data, "a.jsonl")
    assert found.dropped == {"bidirectional controls": 6, "control characters": 6, "lone surrogates": 1}
    assert found.documents[0].startswith("Good evil, ab and  more")


def test_a_surrogate_written_as_utf_8_is_left_out() -> None:
    found = read(b"a long enough text \xed\xa0\x80 with a surrogate", "a.txt")
    assert found.documents == ["a long enough text  with a surrogate"]
    assert found.dropped == {"lone surrogates": 1}


def test_every_kind_of_newline_becomes_one() -> None:
    assert decode("a\r\nb\rc\x85d\u2028e\ff".encode()) == "a\nb\nc\nd\ne\nf"


# --- tables ---------------------------------------------------------------------------------------------------

COMMENTS = 'body\n"First, a comment.\n\nIn ""two"" paragraphs."\n"Second; short."\n\n"Third, with, commas"\n'


def test_the_tutorials_layout_one_quoted_column_is_read_without_being_asked() -> None:
    found = read(COMMENTS.encode(), "reddit-comments.csv")
    assert found.column == "body"
    assert found.documents == [
        'First, a comment.\n\nIn "two" paragraphs.',
        "Second; short.",
        "Third, with, commas",
    ]
    assert columns(COMMENTS.encode(), "reddit-comments.csv") == ["body"]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_newlines_and_a_mark_make_no_difference_to_a_table(newline: str, mark: str) -> None:
    data = (mark + COMMENTS.replace("\n", newline)).encode()
    assert read(data, "a.csv").documents == read(COMMENTS.encode(), "a.csv").documents


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_of_several_columns_the_one_with_most_words_is_read_and_said_so(separator: str) -> None:
    rows = [["id", "user", "text"], *[[str(n), "someone", f"This is comment, or text, {n}."] for n in range(30)]]
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator).writerows(rows)
    found = read(buffer.getvalue().encode(), "a.csv")
    assert found.column == "text"
    assert found.documents[7] == "This is comment, or text, 7."
    assert "'text' was read" in found.notes[0]
    assert read(buffer.getvalue().encode(), "a.csv", column="user").documents == ["someone"] * 30


def test_a_wrong_column_lists_the_columns() -> None:
    message = refusal(b"id,text\n1,hello there\n", "a.csv", column="body")
    assert message == "There is no column 'body' in this file. Choose one of: 'id', 'text'."


def test_a_column_asked_of_a_text_is_ignored_and_said_so() -> None:
    assert "has no columns" in read(b"hello there", "a.txt", column="body").notes[0]


def test_a_table_without_a_header_loses_no_row() -> None:
    data = b'"I joined a league this year, and it is fun."\n"In your scenario, nobody could."\n'
    found = read(data, "a.csv")
    assert len(found.documents) == 2
    assert columns(data, "a.csv") == ["column 1"]
    assert "first row reads like text" in found.notes[0]


def test_an_unquoted_comma_stays_in_the_text_of_a_single_column() -> None:
    found = read(b"body\nWell, yes\nNo\nMaybe, or not, who knows\n", "a.csv")
    assert found.documents == ["Well, yes", "No", "Maybe, or not, who knows"]


def test_a_table_cut_short_within_quotes_is_read_and_said_so() -> None:
    found = read((COMMENTS + '"Fourth, cut').encode(), "a.csv")
    assert found.documents[-1] == "Fourth, cut"
    assert "at line 8 is never closed" in found.notes[0]


def test_an_unclosed_quote_that_swallows_the_table_is_refused_with_its_line() -> None:
    data = b'body\nfirst\n"never closed\n' + b"another row\n" * 50
    assert "A quote that opens in the row at line 3 is never closed." in refusal(data, "a.csv")


def test_a_huge_field_is_a_document_like_any_other() -> None:
    text = "word " * 100_000
    assert read(f'body\n"{text}"\nshort\n'.encode(), "a.csv").documents == [text, "short"]


def test_rows_too_short_for_the_column_are_counted() -> None:
    found = read(b"id,text\n1,hello there\n2\n3,good day\n", "a.csv", column="text")
    assert found.documents == ["hello there", "good day"]
    assert "1 row" in found.notes[-1]


def test_a_table_with_too_many_columns_or_no_text_is_refused() -> None:
    assert "columns, more than" in refusal(b"a," * 100_000, "a.csv")
    assert "no text" in refusal(b"body\n", "a.csv")
    assert "no rows" in refusal(b"\n \n", "a.csv")
    assert "columns, more than" in refusal(json.dumps({str(n): "x" for n in range(2000)}).encode(), "a.jsonl")


def test_json_lines_hold_objects_or_strings() -> None:
    objects = b'{"id": 1, "text": "hello there\\nyou"}\n\n{"id": 2, "text": "good day", "more": ["x"]}\n{"id": 3}\n'
    found = read(objects, "a.jsonl")
    assert found.documents == ["hello there\nyou", "good day"]
    assert columns(objects, "a.jsonl") == ["text"]
    assert "1 row" in found.notes[-1]
    assert read(b'"hello there"\n"you"\n', "a.jsonl").documents == ["hello there", "you"]
    # A line separator of Unicode is a character of the text, not the end of a line of the file.
    assert read('"one\u2028two"\n"three"'.encode(), "a.jsonl").documents == ["one\ntwo", "three"]


@pytest.mark.parametrize("line", [b"{", b"nonsense", b"[1, 2]", b"17", b"[" * 100_000, b"1" * 5000])
def test_a_bad_line_of_json_is_named_by_its_number(line: bytes) -> None:
    assert "Line 3 " in refusal(b'"fine"\n\n' + line + b'\n"fine"', "a.jsonl")


def test_names_of_columns_and_choices_are_shown_on_one_line_without_invisible_characters() -> None:
    data = b'"a\nb",text\nx,hello there\n'
    assert columns(data, "a.csv") == ["a b", "text"]
    message = refusal(data, "a.csv", column="![x](http://h/)\n\u202e" + "y" * 500)
    assert "\u202e" not in message
    hostile = json.dumps({"k\u202e\nx\ud800": "some text"}).encode()
    assert columns(hostile, "a.jsonl") == ["k x"]
    assert read(hostile, "a.jsonl", column="k x").documents == ["some text"]


@given(st.binary(max_size=300), st.sampled_from(["a.txt", "a.csv", "a.jsonl", "a.tsv", "", "\0", "a"]))
def test_random_bytes_are_read_or_refused(data: bytes, name: str) -> None:
    try:
        documents = read(data, name).documents
    except CorpusError:
        return
    assert documents
    assert all(document.strip() for document in documents)


@given(st.binary(max_size=200), st.sampled_from(["utf-8", "utf-16", "utf-32", "cp1252", "latin-1", "big5", "utf-7"]))
def test_random_bytes_with_a_chosen_encoding_are_read_or_refused(data: bytes, encoding: str) -> None:
    try:
        text = decode(data, encoding)
    except CorpusError:
        return
    text.encode("utf-8")  # no surrogate is left
