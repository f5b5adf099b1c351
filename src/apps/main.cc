// The command line's front door.
int main() { return 0; }
