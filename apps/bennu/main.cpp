#include "cli/app.hpp"

int main(int argc, char** argv) { return bennu::cli::run(argc, argv); }
