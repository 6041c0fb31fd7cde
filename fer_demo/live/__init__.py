"""Live video: frames in, frames with numbered boxes out, and a record of what was seen."""
