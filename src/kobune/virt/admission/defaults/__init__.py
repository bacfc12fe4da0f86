"""What is filled in when a user leaves it out. Pure; works on decoded JSON so that nothing unknown is lost."""
