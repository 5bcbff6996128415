"""The service side by side with the bare engine and with FastAPI; started by service.sh. Standard library only."""
