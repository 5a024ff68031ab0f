import pytest
from image_files import corrupt_files, good_files
from PIL import Image, UnidentifiedImageError

from mim_plugins.transforms.pillow_header import open_header


@pytest.mark.parametrize("name", good_files())
def test_headers_are_those_of_pillow_without_its_limit(name, tmp_path, monkeypatch):
    content = good_files()[name]
    (tmp_path / name).write_bytes(content)
    with Image.open(tmp_path / name) as expected:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
        with open_header(content) as header:
            assert (header.format, header.mode, header.size) == (
                expected.format,
                expected.mode,
                expected.size,
            )
        assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize("content", [b"", b"\x89PNG", b"no image at all"])
def test_other_content_is_not_identified(content):
    with pytest.raises(UnidentifiedImageError, match="cannot identify"):
        open_header(content)


def test_corrupt_headers_raise_as_pillow_does(tmp_path):
    for name, (content, _) in corrupt_files().items():
        (tmp_path / name).write_bytes(content)
        outcomes = []
        for opens, source in ((Image.open, tmp_path / name), (open_header, content)):
            try:
                with opens(source) as header:
                    outcomes.append(header.size)
            except Exception as error:
                outcomes.append(type(error))
        assert outcomes[0] in (outcomes[1], Image.DecompressionBombError), name
