/** Rules about time that the linter has none for. */
export default {
  meta: { name: 'time' },
  rules: {
    'no-bare-date': {
      create: (context: Context) => ({
        NewExpression(node: NewExpression) {
          if (node.callee.name !== 'Date' || node.arguments.length > 0) return;
          context.report({
            node,
            message: 'Take a Clock (dock/clock.ts): the simulation runs on virtual time.',
          });
        },
      }),
    },
  },
};

interface NewExpression {
  readonly callee: { readonly name?: string };
  readonly arguments: readonly unknown[];
}

interface Context {
  report(problem: { node: NewExpression; message: string }): void;
}
