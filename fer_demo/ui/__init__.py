"""The pages: a module a page, and the only `import streamlit`."""
